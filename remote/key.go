package remote

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"strings"

	"golang.org/x/crypto/ssh"
)

// NewKey creates an ed25519 deploy key. private is in OpenSSH's PEM format without a passphrase,
// for [Remote]. authorized is the public key as a line for the git host, ending in comment.
func NewKey(comment string) (private []byte, authorized string, err error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, "", err
	}
	comment = printable(comment)
	block, err := ssh.MarshalPrivateKey(key, comment)
	if err != nil {
		return nil, "", err
	}
	private = pem.EncodeToMemory(block)
	authorized, err = PublicKey(private)
	return private, strings.TrimSpace(authorized + " " + comment), err
}

// PublicKey returns the public half of private as a line for the git host, without a comment.
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
		return nil, errorf(ErrAuth, "the key has a passphrase, which cannot be entered here; use "+
			"a key without one")
	case err != nil: // err may repeat part of the key
		return nil, errorf(ErrAuth, "not a private key in OpenSSH's format; create one with: "+
			"ssh-keygen -t ed25519")
	}
	return s, nil
}
