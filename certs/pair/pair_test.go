package pair

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"strings"
	"testing"
	"time"

	"paas/rig"
)

// certify returns a certificate for key, signed by itself, as PEM.
func certify(t *testing.T, key crypto.Signer, from, to time.Time) string {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotBefore: from, NotAfter: to, DNSNames: []string{"a.example"},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

func keyText(t *testing.T, key crypto.Signer) string {
	t.Helper()
	text, err := EncodeKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func newKey(t *testing.T) crypto.Signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestParse(t *testing.T) {
	now := time.Now()
	_, edwards, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	old, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	other := certify(t, newKey(t), now, now.Add(time.Hour))
	for name, key := range map[string]crypto.Signer{"ecdsa": newKey(t), "ed25519": edwards, "rsa": old} {
		own := certify(t, key, now, now.Add(time.Hour))
		for _, text := range []string{
			keyText(t, key) + own, own + other + keyText(t, key), "# a comment\n" + other + keyText(t, key) + own,
		} {
			cert, err := Parse([]byte(text))
			if err != nil {
				t.Errorf("%s: %v", name, err)
				continue
			}
			first := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert.Certificate[0]}))
			if first != own {
				t.Errorf("%s: the key's own certificate is not the first", name)
			}
		}
	}
	sec1, err := x509.MarshalECPrivateKey(newKey(t).(*ecdsa.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	key := newKey(t)
	for want, text := range map[string]string{
		"there is no certificate in it":                          "",
		"there is no private key in it":                          other,
		"the private key does not belong to the certificate":     other + keyText(t, newKey(t)),
		"there are two private keys in it":                       other + keyText(t, key) + keyText(t, key),
		"a certificate in it is damaged":                         block("CERTIFICATE", "x"),
		"the private key is damaged":                             other + block("PRIVATE KEY", "x"),
		"the private key is encrypted":                           other + block("ENCRYPTED PRIVATE KEY", "x"),
		"the private key does not belong to the certificate\x00": other + block("EC PRIVATE KEY", string(sec1)),
	} {
		_, err := Parse([]byte(text))
		if !strings.HasPrefix(rig.Message(err), strings.TrimSuffix(want, "\x00")) {
			t.Errorf("%v; want %s", err, want)
		}
		if strings.Contains(rig.Message(err), "\n") {
			t.Errorf("more than one line: %v", err)
		}
	}
}

func block(kind, content string) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: []byte(content)}))
}

func TestCheckTime(t *testing.T) {
	key, now := newKey(t), time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	cert, err := Parse([]byte(keyText(t, key) + certify(t, key, now, now.Add(time.Hour))))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		at   time.Duration
		want string
	}{
		{-time.Minute, "the certificate is valid only from 2026-05-01 00:00 UTC, and the server's clock says " +
			"2026-04-30 23:59 UTC"},
		{time.Minute, "<nil>"},
		{2 * time.Hour, "the certificate expired at 2026-05-01 01:00 UTC"},
	} {
		if got := rig.Message(CheckTime(cert, now.Add(c.at))); got != c.want {
			t.Errorf("%s; want %s", got, c.want)
		}
	}
}

// Whatever is sent, the answer is a pair that can be served, or one line that repeats nothing of it.
func FuzzParse(f *testing.F) {
	f.Add([]byte(block("CERTIFICATE", "x") + block("PRIVATE KEY", "y")))
	f.Add([]byte("-----BEGIN RSA PRIVATE KEY-----\nDEK-Info: x\n\nAAAA\n-----END RSA PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		cert, err := Parse(content)
		if err == nil && (cert.Leaf == nil || cert.PrivateKey == nil || len(cert.Certificate) == 0) {
			t.Errorf("%+v", cert)
		}
		if err != nil && strings.Contains(err.Error(), "\n") {
			t.Error(err)
		}
	})
}
