package remote

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"strings"

	"golang.org/x/crypto/ssh"
)

// NewKey makes a deploy key (ed25519): private is for [Remote], PEM as OpenSSH writes it without a
// passphrase; authorized is the line to give to the host of the repository. comment ends the line
// and tells people what the key is for.
func NewKey(comment string) (private []byte, authorized string, err error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, "", err
	}
	comment = clean(comment)
	block, err := ssh.MarshalPrivateKey(key, comment)
	if err != nil {
		return nil, "", err
	}
	private = pem.EncodeToMemory(block)
	authorized, err = PublicKey(private)
	return private, strings.TrimSpace(authorized + " " + comment), err
}

// PublicKey is the line, without a comment, that a private key's owner gives to the host of the
// repository.
func PublicKey(private []byte) (authorized string, err error) {
	signer, err := signer(private)
	if err != nil {
		return "", err
	}
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(signer.PublicKey()))), nil
}

func signer(private []byte) (ssh.Signer, error) {
	s, err := ssh.ParsePrivateKey(private)
	var locked *ssh.PassphraseMissingError
	switch {
	case errors.As(err, &locked):
		return nil, faultf(ErrAuth, "the key has a passphrase, which nobody is there to type; give a key without one")
	case err != nil: // its text may repeat some of what it was given
		return nil, faultf(ErrAuth, "this is not a private key as OpenSSH writes it; make one with: ssh-keygen -t ed25519")
	}
	return s, nil
}
