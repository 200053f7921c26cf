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

// hostKeys checks the key of one host against known_hosts lines.
type hostKeys struct {
	algorithms []string // of the known keys of this host; nil for any
	callback   ssh.HostKeyCallback
	host       string
	err        error // from the last check
}

func newHostKeys(at address, lines []byte) (*hostKeys, error) {
	trusted, err := parseKnownHosts(lines)
	if err != nil {
		return nil, errorf(ErrHostKey, "the known hosts are invalid (%s); they must be lines as "+
			"printed by ssh-keyscan %s", printable(err.Error()), at.host)
	}
	h := &hostKeys{callback: trusted, host: at.host}
	// A server may have keys of several types and shows the first that both sides support. Ask for
	// the types that are known, or it may show a key that is not.
	var mismatch *knownhosts.KeyError
	if err := trusted(at.hostport(), &net.TCPAddr{}, dummyKey()); errors.As(err, &mismatch) {
		for _, known := range mismatch.Want {
			for _, a := range keyAlgorithms(known.Key.Type()) {
				if !slices.Contains(h.algorithms, a) {
					h.algorithms = append(h.algorithms, a)
				}
			}
		}
	}
	return h, nil
}

// keyAlgorithms returns the signature algorithms of a key type. ssh-rsa itself uses SHA-1.
func keyAlgorithms(kind string) []string {
	if kind == ssh.KeyAlgoRSA {
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}
	}
	return []string{kind}
}

// dummyKey returns a key that no host has. Checking it reveals the known keys.
func dummyKey() ssh.PublicKey {
	key, err := ssh.NewPublicKey(ed25519.PublicKey(make([]byte, ed25519.PublicKeySize)))
	if err != nil {
		panic(err) // cannot happen: the length is right
	}
	return key
}

// parseKnownHosts parses lines. The library reads only files, and there may be no writable folder,
// so it gets a pipe.
func parseKnownHosts(lines []byte) (ssh.HostKeyCallback, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	go func() {
		w.Write(lines) // fails if the reader has failed
		w.Close()
	}()
	return knownhosts.New(fmt.Sprintf("/dev/fd/%d", r.Fd()))
}

// check is an [ssh.HostKeyCallback].
func (h *hostKeys) check(address string, remote net.Addr, key ssh.PublicKey) error {
	h.err = h.verify(address, remote, key)
	return h.err
}

func (h *hostKeys) verify(address string, remote net.Addr, key ssh.PublicKey) error {
	err := h.callback(address, remote, key)
	fingerprint := ssh.FingerprintSHA256(key)
	var mismatch *knownhosts.KeyError
	var revoked *knownhosts.RevokedError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &revoked):
		return errorf(ErrHostKey,
			"%s shows a key that is marked as revoked in the known hosts (%s); do not trust it "+
				"unless its owner explains why", h.host, fingerprint)
	case errors.As(err, &mismatch) && len(mismatch.Want) > 0:
		var known []string
		for _, k := range mismatch.Want {
			known = append(known, ssh.FingerprintSHA256(k.Key))
		}
		return errorf(ErrHostKey,
			"the host key of %s has changed: it is now %s, but %s is known; ask its owner whether "+
				"the key was replaced before you trust the new one",
			h.host, fingerprint, strings.Join(known, ", "))
	}
	return errorf(ErrHostKey, "the host key of %s is not known: it is %s; compare it with the "+
		"fingerprint that its owner publishes, then trust it", h.host, fingerprint)
}

var errGotKey = errors.New("got the host key")

// HostKey returns the key that url's SSH server shows now: line is a line for known_hosts, and
// fingerprint begins with SHA256:. It is not proof of identity; a person must compare the
// fingerprint. HostKey blocks for 15 s at most.
func HostKey(ctx context.Context, url string) (line, fingerprint string, err error) {
	at, err := parse(url)
	if err != nil {
		return "", "", err
	}
	if at.scheme != "ssh" {
		return "", "", errorf(ErrURL, "%s: only SSH has host keys", at)
	}
	err = withTimeout(ctx, at, headTimeout, func(ctx context.Context) error {
		var found bool
		_, err := sshHandshake(ctx, at, &ssh.ClientConfig{
			User: "git",
			HostKeyCallback: func(address string, _ net.Addr, key ssh.PublicKey) error {
				line, fingerprint, found = knownhosts.Line([]string{address}, key),
					ssh.FingerprintSHA256(key), true
				return errGotKey // end before we identify ourselves
			},
			HostKeyAlgorithms: []string{ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256,
				ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521,
				// the order in which fingerprints are usually published
				ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256},
		})
		if found {
			return nil
		}
		return err
	})
	return line, fingerprint, err
}

// KnowsHost reports whether lines contain a key of url's host. It also returns true if url is not
// an SSH URL or lines cannot be parsed, because then adding the host's key would not help.
func KnowsHost(lines []byte, url string) bool {
	at, err := parse(url)
	if err != nil || at.scheme != "ssh" {
		return true
	}
	known, err := newHostKeys(at, lines)
	return err != nil || len(known.algorithms) > 0
}
