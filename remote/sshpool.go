package remote

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// sshPool keeps one SSH connection per user, host and key. A handshake takes a hundred times as
// long as a request on an open connection.
type sshPool struct {
	idleTimeout time.Duration
	mu          sync.Mutex
	conns       map[string]*sshConn
}

// sshConn is an SSH connection shared by sessions.
type sshConn struct {
	dialling chan struct{} // held while dialling
	slots    chan struct{} // one per session: OpenSSH allows 10 at once (MaxSessions)

	// Guarded by sshPool.mu.
	client    *ssh.Client // nil if not connected
	users     int
	idleTimer *time.Timer // runs while users is 0
}

const maxSessions = 8

func sshConnKey(at address, r Remote) string {
	h := sha256.New()
	fmt.Fprintf(h, "%d ", len(r.Key))
	h.Write(r.Key)
	h.Write(r.KnownHosts)
	return fmt.Sprintf("%s@%s %x", at.user, at.hostport(), h.Sum(nil))
}

// acquire counts a user of the connection until release.
func (p *sshPool) acquire(name string) *sshConn {
	p.mu.Lock()
	defer p.mu.Unlock()
	t := p.conns[name]
	if t == nil {
		t = &sshConn{dialling: make(chan struct{}, 1), slots: make(chan struct{}, maxSessions)}
		t.idleTimer = time.AfterFunc(p.idleTimeout, func() { p.closeIdle(name, t) })
		if p.conns == nil {
			p.conns = map[string]*sshConn{}
		}
		p.conns[name] = t
	}
	t.idleTimer.Stop()
	t.users++
	return t
}

func (p *sshPool) release(t *sshConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t.users--; t.users == 0 {
		t.idleTimer.Reset(p.idleTimeout)
	}
}

// closeIdle closes a connection that has no users.
func (p *sshPool) closeIdle(name string, t *sshConn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if t.users > 0 {
		return
	}
	delete(p.conns, name)
	if t.client != nil {
		go t.client.Close() // can block if the server does not read
	}
}

// drop closes client and, if it is still t's, forgets it.
func (p *sshPool) drop(t *sshConn, client *ssh.Client) {
	p.mu.Lock()
	if t.client == client {
		t.client = nil
	}
	p.mu.Unlock()
	client.Close()
}

func (p *sshPool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, t := range p.conns {
		t.idleTimer.Stop()
		if t.client != nil {
			go t.client.Close()
			t.client = nil
		}
		if t.users == 0 {
			delete(p.conns, name)
		}
	}
}

// connect returns t's client, dialling if necessary, and whether it was connected already.
func (p *sshPool) connect(ctx context.Context, t *sshConn, at address,
	r Remote) (client *ssh.Client, kept bool, err error) {
	select {
	case t.dialling <- struct{}{}:
	case <-ctx.Done():
		return nil, false, context.Cause(ctx)
	}
	defer func() { <-t.dialling }()
	p.mu.Lock()
	client = t.client
	p.mu.Unlock()
	if client != nil {
		return client, true, nil
	}
	if client, err = dialSSH(ctx, at, r); err != nil {
		return nil, false, err
	}
	p.mu.Lock()
	t.client = client
	p.mu.Unlock()
	go func() {
		client.Wait()
		p.drop(t, client)
	}()
	return client, false, nil
}
