package remote

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"
)

// hosts are the host keys that are trusted.
type hosts struct {
	algorithms []string // those of the keys we know of this host; nil: any
	trusted    ssh.HostKeyCallback
	name       string
	err        error // what check returned
}

func knownHosts(at address, lines []byte) (*hosts, error) {
	trusted, err := readHosts(lines)
	if err != nil {
		return nil, faultf(ErrHostKey, "the known hosts cannot be read (%s); they are lines as ssh-keyscan %s prints them", clean(err.Error()), at.host)
	}
	h := &hosts{trusted: trusted, name: at.host}
	// A server has keys of several kinds, and shows the first that both sides speak: asked for any,
	// it may show one that we do not know although it has one that we do.
	var mismatch *knownhosts.KeyError
	if err := trusted(at.hostport(), &net.TCPAddr{}, stranger()); errors.As(err, &mismatch) {
		for _, known := range mismatch.Want {
			for _, a := range algorithms(known.Key.Type()) {
				if !slices.Contains(h.algorithms, a) {
					h.algorithms = append(h.algorithms, a)
				}
			}
		}
	}
	return h, nil
}

// algorithms are the signatures that a key of a kind can make. ssh-rsa itself is SHA-1.
func algorithms(kind string) []string {
	if kind == ssh.KeyAlgoRSA {
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	}
	return []string{kind}
}

// stranger is a key that nobody has: asking for it brings those that are known.
func stranger() ssh.PublicKey {
	key, err := ssh.NewPublicKey(ed25519.PublicKey(make([]byte, ed25519.PublicKeySize)))
	if err != nil {
		panic(err) // of a key of the right length
	}
	return key
}

// readHosts hands lines to the library, which reads only files, through a pipe: there may be no
// folder where a file could be written.
func readHosts(lines []byte) (ssh.HostKeyCallback, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	go func() {
		w.Write(lines) // fails where the reader gave up, and then there is its error
		w.Close()
	}()
	return knownhosts.New(fmt.Sprintf("/dev/fd/%d", r.Fd()))
}

// check is a [ssh.HostKeyCallback].
func (h *hosts) check(address string, remote net.Addr, key ssh.PublicKey) error {
	h.err = h.verdict(address, remote, key)
	return h.err
}

func (h *hosts) verdict(address string, remote net.Addr, key ssh.PublicKey) error {
	err := h.trusted(address, remote, key)
	shown := ssh.FingerprintSHA256(key)
	var mismatch *knownhosts.KeyError
	var revoked *knownhosts.RevokedError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &revoked):
		return faultf(ErrHostKey, "%s shows a key that the known hosts call revoked (%s); do not trust it before its owner explains", h.name, shown)
	case errors.As(err, &mismatch) && len(mismatch.Want) > 0:
		var known []string
		for _, k := range mismatch.Want {
			known = append(known, ssh.FingerprintSHA256(k.Key))
		}
		return faultf(ErrHostKey, "%s is not who it was: it shows the host key %s, and known is %s; ask its owner whether the key was changed, and only then trust the new one",
			h.name, shown, strings.Join(known, ", "))
	}
	return faultf(ErrHostKey, "the host key of %s is not among the known hosts: it shows %s; compare that with what its owner publishes, then trust it", h.name, shown)
}

var errShown = errors.New("seen enough")

// HostKey asks the ssh server of url for the key that it shows now: line is as in known_hosts, and
// fingerprint begins with SHA256:. Nothing proves that it is the right one: who is to trust it
// compares the fingerprint. It blocks for 15 s at most.
func HostKey(ctx context.Context, url string) (line, fingerprint string, err error) {
	at, err := parse(url)
	if err != nil {
		return "", "", err
	}
	if at.scheme != "ssh" {
		return "", "", faultf(ErrURL, "%s: only ssh has host keys", at)
	}
	err = within(ctx, at, lookTimeout, func(ctx context.Context) error {
		var shown bool
		_, err := shake(ctx, at, &ssh.ClientConfig{
			User: "git",
			HostKeyCallback: func(address string, _ net.Addr, key ssh.PublicKey) error {
				line, fingerprint, shown = knownhosts.Line([]string{address}, key), ssh.FingerprintSHA256(key), true
				return errShown // before anything is said of us
			},
			HostKeyAlgorithms: []string{ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521,
				ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}, // the order in which people publish fingerprints
		})
		if shown {
			return nil
		}
		return err
	})
	return line, fingerprint, err
}
