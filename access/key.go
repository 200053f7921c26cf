package access

import (
	"bytes"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	gossh "golang.org/x/crypto/ssh"
)

// Key is a public key that may connect, and whose it is.
type Key struct {
	Name        string    `json:"name"` // of the person, who may have several
	Role        Right     `json:"role"`
	Type        string    `json:"type"`              // as in authorized_keys: "ssh-ed25519"
	Fingerprint string    `json:"fingerprint"`       // as ssh-keygen -l prints it: "SHA256:..."
	Comment     string    `json:"comment,omitempty"` // from the key; often user@machine
	Added       time.Time `json:"added"`
	Used        time.Time `json:"used,omitzero"`    // last, to the minute; zero: never
	Expires     time.Time `json:"expires,omitzero"` // zero: never
	From        string    `json:"from,omitempty"`   // patterns of addresses; empty: from everywhere
	Line        string    `json:"line"`             // the authorized_keys line, without options

	public gossh.PublicKey
	file   string // its name: that of the person, and + and a number for all keys but the first
}

func (k Key) options() options { return options{role: k.Role, from: k.From, expires: k.Expires} }

const (
	maxKeyText    = 16 << 10 // bytes; the line of a 16384-bit RSA key has 2.8 KiB
	minRSA        = 2048     // bits
	likeThisOne   = "it looks like: ssh-ed25519 AAAA... you@laptop"
	usePublicFile = "give the public half, the file that ends in .pub"
)

// parseKey parses one line in authorized_keys format (sshd(8)) and returns its key and options. It
// accepts blanks around the line and Windows line endings. Its errors do not quote the text, which
// may be a secret.
func parseKey(text []byte) (Key, []string, error) {
	text = bytes.TrimSpace(bytes.TrimPrefix(text, []byte("\xef\xbb\xbf"))) // some editors save a BOM
	switch {
	case len(text) == 0:
		return Key{}, nil, fmt.Errorf("no key given; %s", likeThisOne)
	case bytes.Contains(text, []byte("PRIVATE KEY")), bytes.HasPrefix(text,
		[]byte("PuTTY-User-Key-File")):
		return Key{}, nil, fmt.Errorf("this is a private key, which nobody else may see; %s",
			usePublicFile)
	case bytes.Contains(text, []byte("BEGIN SSH2 PUBLIC KEY")):
		return Key{}, nil, errors.New("this is the SSH2 format; convert it with: ssh-keygen -i -f FILE")
	case len(text) > maxKeyText:
		return Key{}, nil, fmt.Errorf("too long for a public key: over %d bytes", maxKeyText)
	case bytes.ContainsAny(text, "\r\n"):
		return Key{}, nil, errors.New("more than one line; give one key at a time")
	case bytes.ContainsFunc(text, func(r rune) bool { return unicode.IsControl(r) && r != '\t' }):
		return Key{}, nil, fmt.Errorf("not a public key; %s", likeThisOne)
	}
	public, comment, options, _, err := gossh.ParseAuthorizedKey(text)
	if err != nil {
		return Key{}, nil, fmt.Errorf("not a public key; %s", likeThisOne)
	}
	if err := fit(public); err != nil {
		return Key{}, nil, err
	}
	comment = strings.ToValidUTF8(comment, "?")
	return Key{
		Type:        public.Type(),
		Fingerprint: gossh.FingerprintSHA256(public),
		Comment:     comment,
		Line:        strings.TrimSpace(keyLine(public) + " " + comment),
		public:      public,
	}, options, nil
}

// readKey parses one line, options included. Only in a file of our own they name the role.
func readKey(text []byte, ownFile bool) (Key, error) {
	key, words, err := parseKey(text)
	if err != nil {
		return Key{}, err
	}
	o, err := parseOptions(words, ownFile)
	key.Role, key.From, key.Expires = o.role, o.from, o.expires
	return key, err
}

// fit returns an error if the key is too weak or its type is not supported.
func fit(public gossh.PublicKey) error {
	switch public.Type() {
	case gossh.KeyAlgoED25519, gossh.KeyAlgoSKED25519, gossh.KeyAlgoSKECDSA256,
		gossh.KeyAlgoECDSA256, gossh.KeyAlgoECDSA384, gossh.KeyAlgoECDSA521:
		return nil
	case gossh.KeyAlgoRSA:
		crypto, ok := public.(gossh.CryptoPublicKey)
		if !ok {
			return errors.New("not an RSA key")
		}
		if key, ok := crypto.CryptoPublicKey().(*rsa.PublicKey); !ok || key.N.BitLen() < minRSA {
			return fmt.Errorf("an RSA key needs at least %d bits; "+
				"make a better one with: ssh-keygen -t ed25519", minRSA)
		}
		return nil
	}
	if _, ok := public.(*gossh.Certificate); ok {
		return fmt.Errorf("certificates are not supported; %s", usePublicFile)
	}
	return fmt.Errorf("keys of type %s are not accepted; make one with: ssh-keygen -t ed25519",
		public.Type())
}

// keyLine returns the key as a line of authorized_keys, without comment and newline.
func keyLine(public gossh.PublicKey) string {
	return public.Type() + " " + base64.StdEncoding.EncodeToString(public.Marshal())
}
