package link

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"sync"
	"time"
)

// Door admits fronts.
type Door struct {
	Key       Key
	Publisher *Publisher // for fronts that follow
	// Private is called with each connection of [Key.DialPrivate]. It must return when ctx ends or the
	// connection does, which then closes. nil: there are none.
	Private    func(ctx context.Context, conn net.Conn)
	PrivateKey Key // the second key, for these
	Log        *slog.Logger

	mu     sync.Mutex
	warned time.Time
}

// greetTime is how long the other end of a new connection may take to prove that it is a front.
const greetTime = 5 * time.Second

// Greet reports whether a front has proven to be one and sends requests. If it follows or is private,
// Greet blocks until it leaves, hangs, or ctx ends, and returns false.
func (d *Door) Greet(ctx context.Context, conn net.Conn) bool {
	conn.SetDeadline(time.Now().Add(greetTime))
	p, err := d.admit(conn)
	if err != nil {
		return false
	}
	switch p {
	case follow:
		d.Publisher.serve(ctx, conn)
		return false
	case private:
		d.servePrivate(ctx, conn)
		return false
	}
	return conn.SetDeadline(time.Time{}) == nil
}

// admit logs why a front could not be admitted, at most every ten seconds.
func (d *Door) admit(conn net.Conn) (purpose, error) {
	key, err := d.Key.read()
	if err != nil {
		d.warn("cannot read the key of the front", "err", err)
		return 0, err
	}
	p, err := admit(conn, key)
	if errors.Is(err, ErrKey) {
		d.warn("refused a front", "from", conn.RemoteAddr(), "err", err)
	}
	return p, err
}

func (d *Door) warn(msg string, args ...any) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if now := time.Now(); now.Sub(d.warned) > 10*time.Second {
		d.warned = now
		d.Log.Warn(msg, args...)
	}
}

// Only returns the listener l for fronts alone. The first Read of a connection blocks until the front
// has proven to be one, as the connection's deadline allows, and for good on one that is private.
func (d *Door) Only(l net.Listener) net.Listener { return only{l, d} }

type only struct {
	net.Listener
	door *Door
}

func (o only) Accept() (net.Conn, error) {
	conn, err := o.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &unproven{Conn: conn, door: o.door}, nil
}

// unproven is a connection whose first Read waits for the proof.
type unproven struct {
	net.Conn
	door *Door
	once sync.Once
	err  error
}

func (u *unproven) Read(b []byte) (int, error) {
	u.once.Do(func() {
		var p purpose
		switch p, u.err = u.door.admit(u.Conn); {
		case u.err != nil:
		case p == private: // the server closes the connection when it stops
			u.err = u.door.servePrivate(context.Background(), u.Conn)
		case p != requests:
			u.err = errors.New("nothing is published here")
		}
	})
	if u.err != nil {
		return 0, u.err
	}
	return u.Conn.Read(b)
}
