// Package sshkey makes SSH keys for tests. Only tests import it.
package sshkey

import (
	"crypto"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"testing"

	gossh "golang.org/x/crypto/ssh"
)

// New returns a new ed25519 key.
func New(t testing.TB) gossh.Signer {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return Signer(t, private)
}

// Signer returns the signer of a private key.
func Signer(t testing.TB, private crypto.Signer) gossh.Signer {
	t.Helper()
	signer, err := gossh.NewSignerFromSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	return signer
}

// PrivateText returns a private key as ssh-keygen writes it.
func PrivateText(t testing.TB, key crypto.PrivateKey) []byte {
	t.Helper()
	block, err := gossh.MarshalPrivateKey(key, "")
	if err != nil {
		t.Fatal(err)
	}
	return pem.EncodeToMemory(block)
}
