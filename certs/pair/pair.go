// Package pair reads a certificate and its private key from PEM.
package pair

import (
	"bytes"
	"crypto"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Parse reads a certificate, the rest of its chain and its private key from PEM, in any order. The
// certificate is the one that the key belongs to. An error says in one line what is wrong, and
// repeats nothing of content.
func Parse(content []byte) (*tls.Certificate, error) {
	var key crypto.Signer
	var chain []*x509.Certificate
	for rest := content; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		switch {
		case block.Type == "CERTIFICATE":
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return nil, errors.New("a certificate in it is damaged")
			}
			chain = append(chain, cert)
		case block.Type == "ENCRYPTED PRIVATE KEY", block.Headers["DEK-Info"] != "":
			return nil, errors.New("the private key is encrypted; " +
				"openssl pkey -in FILE -out PLAIN-FILE decrypts it")
		case strings.HasSuffix(block.Type, "PRIVATE KEY"):
			if key != nil {
				return nil, errors.New("there are two private keys in it")
			}
			if key = parseKey(block.Bytes); key == nil {
				return nil, errors.New("the private key is damaged, or neither RSA, ECDSA nor Ed25519")
			}
		}
	}
	switch {
	case len(chain) == 0:
		return nil, errors.New("there is no certificate in it (-----BEGIN CERTIFICATE-----)")
	case key == nil:
		return nil, errors.New("there is no private key in it (-----BEGIN PRIVATE KEY-----)")
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return nil, errors.New("the private key is of an unknown kind")
	}
	first := slices.IndexFunc(chain, func(c *x509.Certificate) bool {
		return bytes.Equal(c.RawSubjectPublicKeyInfo, public)
	})
	if first < 0 {
		return nil, errors.New("the private key does not belong to the certificate")
	}
	cert := &tls.Certificate{PrivateKey: key, Leaf: chain[first]}
	chain = slices.Insert(slices.Delete(chain, first, first+1), 0, cert.Leaf)
	for _, c := range chain {
		cert.Certificate = append(cert.Certificate, c.Raw)
	}
	return cert, nil
}

func parseKey(der []byte) crypto.Signer {
	if key, err := x509.ParsePKCS8PrivateKey(der); err == nil {
		signer, _ := key.(crypto.Signer)
		return signer
	}
	if key, err := x509.ParseECPrivateKey(der); err == nil {
		return key
	}
	if key, err := x509.ParsePKCS1PrivateKey(der); err == nil {
		return key
	}
	return nil
}

// EncodeKey returns a private key as PEM.
func EncodeKey(key crypto.PrivateKey) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), err
}

// CheckTime returns an error that says so in one line if the certificate is not valid now.
func CheckTime(cert *tls.Certificate, now time.Time) error {
	const day = "2006-01-02 15:04 MST"
	switch leaf := cert.Leaf; {
	case now.After(leaf.NotAfter):
		return fmt.Errorf("the certificate expired at %s", leaf.NotAfter.UTC().Format(day))
	case now.Before(leaf.NotBefore):
		return fmt.Errorf("the certificate is valid only from %s, and the server's clock says %s",
			leaf.NotBefore.UTC().Format(day), now.UTC().Format(day))
	}
	return nil
}
