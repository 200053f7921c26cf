package remote

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

const (
	// grace is how long the other end has, when time is up, to confirm that a session is over
	// before the connection that others share counts as dead.
	grace = time.Second
	// farewell is the same after an answer: its processes may take a while to end.
	farewell = 10 * time.Second
)

// session begins a conversation over the tunnel to at.
func (ts *tunnels) session(ctx context.Context, at address, r Remote, limit int64, heard func()) (*session, error) {
	t := ts.take(tunnelName(at, r))
	select {
	case t.slots <- struct{}{}:
	case <-ctx.Done():
		ts.leave(t)
		return nil, context.Cause(ctx)
	}
	done := func() {
		<-t.slots
		ts.leave(t)
	}
	for {
		client, kept, err := ts.connect(ctx, t, at, r)
		if err != nil {
			done()
			return nil, err
		}
		s, err := ts.run(ctx, t, client, at, limit, heard, done)
		if err == nil {
			s.kept = kept
			return s, nil
		}
		// What was kept may have died. A server that says why it does not answer is alive.
		var said *fault
		var closed *ssh.OpenChannelError
		if !kept || ctx.Err() != nil || errors.As(err, &said) || errors.As(err, &closed) {
			done()
			return nil, err
		}
		ts.drop(t, client)
	}
}

// run begins a session on client. done is called at its end, if it began.
func (ts *tunnels) run(ctx context.Context, t *tunnel, client *ssh.Client, at address, limit int64, heard func(), done func()) (*session, error) {
	var (
		mu      sync.Mutex
		running *ssh.Session
		last    *time.Timer
	)
	// When time is up: end the session; and where the other end does not even answer to that, the
	// connection. x/crypto/ssh knows no deadlines.
	stop := context.AfterFunc(ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		last = time.AfterFunc(grace, func() { ts.drop(t, client) })
		if running != nil {
			go running.Close()
		}
	})
	quit := func() {
		stop()
		mu.Lock()
		defer mu.Unlock()
		if last != nil {
			last.Stop()
		}
	}
	begun, err := client.NewSession()
	if err != nil {
		quit()
		return nil, err
	}
	mu.Lock()
	running = begun
	mu.Unlock()

	var said beginning
	begun.Stderr = &said
	in, _ := begun.StdinPipe() // fails only where it was set before
	out, _ := begun.StdoutPipe()
	// Not waited for: a server that does not take it speaks version 0, which is seen soon enough.
	_, err = begun.SendRequest("env", false, ssh.Marshal(struct{ Name, Value string }{"GIT_PROTOCOL", "version=2"}))
	if err == nil {
		err = begun.Start(service + " " + quote(at.path))
	}
	s := &session{
		in: newPackets(out, limit, heard),
		send: func(q request) error {
			_, err := in.Write(q)
			return err
		},
		forget: func() { ts.drop(t, client) },
		explain: func() error {
			begun.Close()
			begun.Wait() // for the last of what it said
			if said.Len() == 0 {
				return nil
			}
			return refusal(said.String())
		},
	}
	if err == nil {
		err = s.greet()
	}
	if err != nil {
		begun.Close()
		quit()
		return nil, err
	}
	s.end = func() {
		in.Write([]byte("0000")) // else the server logs that we hung up
		in.Close()
		quit()
		go func() { // the server counts a session until its command has ended
			defer done()
			late := time.AfterFunc(farewell, func() { ts.drop(t, client) })
			defer late.Stop()
			io.CopyN(io.Discard, out, 64<<10) // ends with the command, or with one that goes on and on
			begun.Close()
			begun.Wait()
		}()
	}
	return s, nil
}

// beginning keeps the beginning of what is written to it.
type beginning struct{ bytes.Buffer }

func (b *beginning) Write(p []byte) (int, error) {
	if room := 4*longest - b.Len(); room > 0 {
		b.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

// quote makes one word of path for the shell that ssh servers hand it to, as git does (sq_quote_buf
// in git's quote.c); those without a shell take apart just this form.
func quote(path string) string {
	return "'" + strings.NewReplacer("'", `'\''`, "!", `'\!'`).Replace(path) + "'"
}

// dial connects and proves both who we are and who is there.
func dial(ctx context.Context, at address, r Remote) (*ssh.Client, error) {
	hosts, err := knownHosts(at, r.KnownHosts)
	if err != nil {
		return nil, err
	}
	config := &ssh.ClientConfig{
		User:              cmp.Or(at.user, "git"),
		HostKeyCallback:   hosts.check,
		HostKeyAlgorithms: hosts.algorithms,
	}
	if len(r.Key) > 0 {
		key, err := signer(r.Key)
		if err != nil {
			return nil, err
		}
		config.Auth = []ssh.AuthMethod{ssh.PublicKeys(key)}
	}
	client, err := shake(ctx, at, config)
	switch {
	case err == nil:
		return client, nil
	case hosts.err != nil: // in the library's error it is only text
		return nil, hosts.err
	case strings.Contains(err.Error(), "unable to authenticate") && len(r.Key) == 0:
		return nil, faultf(ErrAuth, "it asks for a key; give one, and add its public half there as a deploy key")
	case strings.Contains(err.Error(), "unable to authenticate"):
		return nil, faultf(ErrAuth, "it does not accept the key; add its public half there as a deploy key that may read, and check the user (%s)", config.User)
	}
	return nil, err
}

// shake dials and shakes hands within ctx.
func shake(ctx context.Context, at address, config *ssh.ClientConfig) (*ssh.Client, error) {
	conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "tcp", at.hostport())
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	c, channels, requests, err := ssh.NewClientConn(conn, at.hostport(), config)
	if !stop() && err == nil {
		c.Close()
		return nil, context.Cause(ctx)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return ssh.NewClient(c, channels, requests), nil
}
