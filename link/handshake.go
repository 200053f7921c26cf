package link

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"net"
	"time"
)

// purpose is what a connection is for.
type purpose byte

const (
	requests purpose = 'r'
	follow   purpose = 'f'
	private  purpose = 'p'
)

const magic = "\x00paas link 1\n"

// ErrKey means that the other end does not know the key.
var ErrKey = errors.New("the other end has another key, or is no role of this server")

// nonces are what both ends have sent.
type nonces [2 * sha256.Size]byte

// proof is what an end that knows the key can make of the nonces.
func proof(key []byte, end string, p purpose, n *nonces) []byte {
	h := hmac.New(sha256.New, key)
	io.WriteString(h, end)
	h.Write([]byte{byte(p)})
	h.Write(n[:])
	return h.Sum(nil)
}

// introduce is the front's part. It blocks as the connection's deadlines allow.
func introduce(conn net.Conn, key []byte, p purpose) error {
	var n nonces
	rand.Read(n[:sha256.Size])
	hello := append([]byte(magic), byte(p))
	if _, err := conn.Write(append(hello, n[:sha256.Size]...)); err != nil {
		return err
	}
	answer := make([]byte, 2*sha256.Size)
	if _, err := io.ReadFull(conn, answer); err != nil {
		return fmt.Errorf("no answer to a front's greeting: %w", err)
	}
	copy(n[sha256.Size:], answer)
	if !hmac.Equal(answer[sha256.Size:], proof(key, "role", p, &n)) {
		return ErrKey
	}
	_, err := conn.Write(proof(key, "front", p, &n))
	return err
}

// admit is the role's part.
func admit(conn net.Conn, key []byte) (purpose, error) {
	hello := make([]byte, len(magic)+1+sha256.Size)
	if _, err := io.ReadFull(conn, hello); err != nil {
		return 0, err
	}
	p := purpose(hello[len(magic)])
	if string(hello[:len(magic)]) != magic || p != requests && p != follow && p != private {
		return 0, errors.New("no greeting of a front")
	}
	var n nonces
	copy(n[:], hello[len(magic)+1:])
	rand.Read(n[sha256.Size:])
	if _, err := conn.Write(append(n[sha256.Size:], proof(key, "role", p, &n)...)); err != nil {
		return 0, err
	}
	answer := make([]byte, sha256.Size)
	if _, err := io.ReadFull(conn, answer); err != nil {
		return 0, err
	}
	if !hmac.Equal(answer, proof(key, "front", p, &n)) {
		return 0, ErrKey
	}
	return p, nil
}

// Dial connects a front to the role at addr, host:port, for requests. It blocks until the role has
// proven that it is one, or ctx ends.
func (k Key) Dial(ctx context.Context, addr string) (net.Conn, error) {
	return k.dial(ctx, addr, requests)
}

func (k Key) dial(ctx context.Context, addr string, p purpose) (net.Conn, error) {
	key, err := k.read()
	if err != nil {
		return nil, err
	}
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	err = introduce(conn, key, p)
	if !stop() {
		err = context.Cause(ctx)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}
