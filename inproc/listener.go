// Package inproc has a listener whose connections all come from this process. It does not know what
// is said on them.
package inproc

import (
	"context"
	"errors"
	"net"
	"sync"
	"syscall"

	"paas/socketpair"
)

// Listener is a listener without an address. Only this process can connect to it, so it needs no
// port that another program might take.
type Listener struct {
	queue  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

// New returns a Listener that nobody has connected to yet.
func New() *Listener {
	return &Listener{queue: make(chan net.Conn), closed: make(chan struct{})}
}

// Accept implements [net.Listener].
func (l *Listener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.queue:
		return conn, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

// Close implements [net.Listener].
func (l *Listener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return nil
}

// Addr implements [net.Listener].
func (l *Listener) Addr() net.Addr { return &net.UnixAddr{Net: "unix"} }

// Dial connects to the listener. It blocks until the connection is accepted, or ctx ends.
func (l *Listener) Dial(ctx context.Context) (net.Conn, error) {
	here, there, err := connect()
	if err != nil {
		return nil, err
	}
	select {
	case l.queue <- there:
		return here, nil
	case <-l.closed:
		err = syscall.ECONNREFUSED
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	return nil, errors.Join(err, here.Close(), there.Close())
}

// HandOver passes on a connection that was accepted elsewhere. It blocks until that is accepted here,
// and returns false if the listener is closed.
func (l *Listener) HandOver(conn net.Conn) bool {
	select {
	case l.queue <- conn:
		return true
	case <-l.closed:
		return false
	}
}

// connect returns the two ends of a connection.
func connect() (here, there net.Conn, err error) {
	a, b, err := socketpair.New()
	if err != nil {
		return nil, nil, err
	}
	defer a.Close()
	defer b.Close()
	if here, err = net.FileConn(a); err != nil {
		return nil, nil, err
	}
	if there, err = net.FileConn(b); err != nil {
		here.Close()
		return nil, nil, err
	}
	return here, there, nil
}
