package remote

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// tunnels are the ssh connections, one for each user, host and key: a handshake costs a hundred
// times what a question over an open connection does.
type tunnels struct {
	idle time.Duration
	mu   sync.Mutex
	open map[string]*tunnel
}

// tunnel is a connection that looks and fetches share.
type tunnel struct {
	dialling chan struct{} // held by who dials
	slots    chan struct{} // held by each session: OpenSSH takes 10 at once (MaxSessions)

	// Guarded by tunnels.mu.
	client *ssh.Client // nil: none is open
	users  int
	sleep  *time.Timer // runs while there are no users
}

const maxSessions = 8

func tunnelName(at address, r Remote) string {
	h := sha256.New()
	fmt.Fprintf(h, "%d ", len(r.Key))
	h.Write(r.Key)
	h.Write(r.KnownHosts)
	return fmt.Sprintf("%s@%s %x", at.user, at.hostport(), h.Sum(nil))
}

// take counts its caller among the users of a tunnel, until it is left.
func (ts *tunnels) take(name string) *tunnel {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	t := ts.open[name]
	if t == nil {
		t = &tunnel{dialling: make(chan struct{}, 1), slots: make(chan struct{}, maxSessions)}
		t.sleep = time.AfterFunc(ts.idle, func() { ts.fill(name, t) })
		if ts.open == nil {
			ts.open = map[string]*tunnel{}
		}
		ts.open[name] = t
	}
	t.sleep.Stop()
	t.users++
	return t
}

func (ts *tunnels) leave(t *tunnel) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if t.users--; t.users == 0 {
		t.sleep.Reset(ts.idle)
	}
}

// fill closes a tunnel that nobody has used for a while.
func (ts *tunnels) fill(name string, t *tunnel) {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	if t.users > 0 {
		return
	}
	delete(ts.open, name)
	if t.client != nil {
		go t.client.Close() // may wait for a peer that does not read
	}
}

// drop forgets a connection, if the tunnel still has that one.
func (ts *tunnels) drop(t *tunnel, client *ssh.Client) {
	ts.mu.Lock()
	if t.client == client {
		t.client = nil
	}
	ts.mu.Unlock()
	client.Close()
}

func (ts *tunnels) close() {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	for name, t := range ts.open {
		t.sleep.Stop()
		if t.client != nil {
			go t.client.Close()
			t.client = nil
		}
		if t.users == 0 {
			delete(ts.open, name)
		}
	}
}

// connect returns the tunnel's connection, and whether it was there already.
func (ts *tunnels) connect(ctx context.Context, t *tunnel, at address, r Remote) (client *ssh.Client, kept bool, err error) {
	select {
	case t.dialling <- struct{}{}:
	case <-ctx.Done():
		return nil, false, context.Cause(ctx)
	}
	defer func() { <-t.dialling }()
	ts.mu.Lock()
	client = t.client
	ts.mu.Unlock()
	if client != nil {
		return client, true, nil
	}
	if client, err = dial(ctx, at, r); err != nil {
		return nil, false, err
	}
	ts.mu.Lock()
	t.client = client
	ts.mu.Unlock()
	go func() {
		client.Wait()
		ts.drop(t, client)
	}()
	return client, false, nil
}
