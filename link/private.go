package link

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"sync"
	"time"
)

// DialPrivate connects a front to the role at addr, host:port, so that nobody else can read or change
// what they say, except those who know the second key as well. It blocks until the role has proven
// that it knows both, or ctx ends.
func (k Key) DialPrivate(ctx context.Context, addr string, second Key) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, greetTime)
	defer cancel()
	key, err := second.read()
	if err != nil {
		return nil, err
	}
	conn, err := k.dial(ctx, addr, private)
	if err != nil {
		return nil, err
	}
	deadline, _ := ctx.Deadline()
	conn.SetDeadline(deadline)
	secret, err := encrypt(conn, key, false)
	if err != nil {
		conn.Close()
		return nil, err
	}
	return secret, conn.SetDeadline(time.Time{})
}

// servePrivate hands a connection whose front was admitted to Private, until that returns.
func (d *Door) servePrivate(ctx context.Context, conn net.Conn) error {
	if d.Private == nil {
		return errors.New("this role has nothing private to say")
	}
	key, err := d.PrivateKey.read()
	if err != nil {
		d.warn("cannot read the second key of the front", "err", err)
		return err
	}
	conn.SetDeadline(time.Now().Add(greetTime))
	secret, err := encrypt(conn, key, true)
	if err != nil {
		d.warn("refused a front", "from", conn.RemoteAddr(), "err", err)
		return err
	}
	conn.SetDeadline(time.Time{})
	d.Private(ctx, secret)
	return io.EOF
}

// passing is the certificate of this process, which nobody checks: the ends prove who they are by the
// key.
var passing = sync.OnceValue(func() tls.Certificate {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err) // there is no randomness
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err) // the template is wrong
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
})

// encrypt lets conn speak TLS, and each end prove that it knows the key. It blocks as the connection's
// deadlines allow.
func encrypt(conn net.Conn, key []byte, role bool) (*tls.Conn, error) {
	own, other := "private front", "private role"
	start := tls.Client
	config := &tls.Config{
		MinVersion: tls.VersionTLS13, InsecureSkipVerify: true, SessionTicketsDisabled: true,
	}
	if role {
		own, other, start = other, own, tls.Server
		config.Certificates = []tls.Certificate{passing()}
	}
	secret := start(conn, config)
	if err := secret.Handshake(); err != nil {
		return nil, err
	}
	state := secret.ConnectionState()
	binding, err := state.ExportKeyingMaterial("EXPORTER-Channel-Binding", nil, sha256.Size)
	if err != nil {
		return nil, err
	}
	prove := func(end string) []byte {
		h := hmac.New(sha256.New, key)
		io.WriteString(h, end)
		h.Write(binding)
		return h.Sum(nil)
	}
	if _, err := secret.Write(prove(own)); err != nil {
		return nil, err
	}
	proof := make([]byte, sha256.Size)
	if _, err := io.ReadFull(secret, proof); err != nil {
		return nil, err
	}
	if !hmac.Equal(proof, prove(other)) {
		return nil, ErrKey
	}
	return secret, nil
}
