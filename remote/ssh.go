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
	// sessionCloseTimeout is how long a server may take to close a session after its time is up,
	// before the shared connection is considered dead.
	sessionCloseTimeout = time.Second
	// commandExitTimeout is how long a server's command may take to exit after its last answer.
	commandExitTimeout = 10 * time.Second
)

// newSession opens a session over a kept connection, or a new one.
func (p *sshPool) newSession(ctx context.Context, at address, r Remote, limit int64,
	onData func()) (*session, error) {
	t := p.acquire(sshConnKey(at, r))
	select {
	case t.slots <- struct{}{}:
	case <-ctx.Done():
		p.release(t)
		return nil, context.Cause(ctx)
	}
	done := func() {
		<-t.slots
		p.release(t)
	}
	for {
		client, kept, err := p.connect(ctx, t, at, r)
		if err != nil {
			done()
			return nil, err
		}
		s, err := p.startSession(ctx, t, client, at, limit, onData, done)
		if err == nil {
			s.reused = kept
			return s, nil
		}
		// A kept connection may have died. A server that gives a reason is alive.
		var refused *kindError
		var closed *ssh.OpenChannelError
		if !kept || ctx.Err() != nil || errors.As(err, &refused) || errors.As(err, &closed) {
			done()
			return nil, err
		}
		p.drop(t, client)
	}
}

// startSession runs git-upload-pack on client. It calls done when the session has ended.
func (p *sshPool) startSession(ctx context.Context, t *sshConn, client *ssh.Client, at address,
	limit int64, onData func(), done func()) (*session, error) {
	var (
		mu         sync.Mutex
		running    *ssh.Session
		closeTimer *time.Timer
	)
	// When ctx ends, close the session, and if the server does not confirm that, the connection.
	// x/crypto/ssh has no deadlines.
	stop := context.AfterFunc(ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		closeTimer = time.AfterFunc(sessionCloseTimeout, func() { p.drop(t, client) })
		if running != nil {
			go running.Close()
		}
	})
	stopTimers := func() {
		stop()
		mu.Lock()
		defer mu.Unlock()
		if closeTimer != nil {
			closeTimer.Stop()
		}
	}
	sess, err := client.NewSession()
	if err != nil {
		stopTimers()
		return nil, err
	}
	mu.Lock()
	running = sess
	mu.Unlock()

	var stderr prefixBuffer
	sess.Stderr = &stderr
	in, _ := sess.StdinPipe() // can fail only if called twice
	out, _ := sess.StdoutPipe()
	// Do not wait for the reply: a server that ignores this speaks version 0.
	_, err = sess.SendRequest("env", false,
		ssh.Marshal(struct{ Name, Value string }{"GIT_PROTOCOL", "version=2"}))
	if err == nil {
		err = sess.Start(uploadPack + " " + quote(at.path))
	}
	s := &session{
		in: newPacketReader(out, limit, onData),
		send: func(q request) error {
			_, err := in.Write(q)
			return err
		},
		discard: func() { p.drop(t, client) },
		hangupReason: func() error {
			sess.Close()
			sess.Wait() // for the end of its stderr
			if stderr.Len() == 0 {
				return nil
			}
			return serverError(stderr.String())
		},
	}
	if err == nil {
		err = s.handshake()
	}
	if err != nil {
		sess.Close()
		stopTimers()
		return nil, err
	}
	s.close = func() {
		in.Write([]byte("0000")) // else the server logs an error
		in.Close()
		stopTimers()
		go func() { // the server counts the session until its command has exited
			defer done()
			late := time.AfterFunc(commandExitTimeout, func() { p.drop(t, client) })
			defer late.Stop()
			// ends when the command exits, or if it sends too much
			io.CopyN(io.Discard, out, 64<<10)
			sess.Close()
			sess.Wait()
		}()
	}
	return s, nil
}

// prefixBuffer keeps the first bytes written to it.
type prefixBuffer struct{ bytes.Buffer }

func (b *prefixBuffer) Write(p []byte) (int, error) {
	if room := 4*maxQuoted - b.Len(); room > 0 {
		b.Buffer.Write(p[:min(room, len(p))])
	}
	return len(p), nil
}

// quote quotes path for the server's shell exactly as git does (sq_quote_buf in git's quote.c).
// Servers without a shell understand only that form.
func quote(path string) string {
	return "'" + strings.NewReplacer("'", `'\''`, "!", `'\!'`).Replace(path) + "'"
}

// dialSSH connects, checks the host key and authenticates.
func dialSSH(ctx context.Context, at address, r Remote) (*ssh.Client, error) {
	hosts, err := newHostKeys(at, r.KnownHosts)
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
	client, err := sshHandshake(ctx, at, config)
	switch {
	case err == nil:
		return client, nil
	case hosts.err != nil: // the library's error contains it only as text
		return nil, hosts.err
	case strings.Contains(err.Error(), "unable to authenticate") && len(r.Key) == 0:
		return nil, errorf(ErrAuth, "it requires a key; set one, and add its public half there as "+
			"a deploy key")
	case strings.Contains(err.Error(), "unable to authenticate"):
		return nil, errorf(ErrAuth, "it does not accept the key; add its public half there as a "+
			"deploy key that may read, and check the user (%s)", config.User)
	}
	return nil, err
}

// sshHandshake connects and does the SSH handshake within ctx.
func sshHandshake(ctx context.Context, at address, config *ssh.ClientConfig) (*ssh.Client, error) {
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
