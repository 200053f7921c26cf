package sshd

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"time"

	"github.com/gliderlabs/ssh"
	gossh "golang.org/x/crypto/ssh"
)

// Identity is the key that a session proved to hold.
type Identity struct {
	Name        string // of the key
	Admin       bool
	Fingerprint string // "SHA256:..."
}

// Keys tells whose a public key is.
type Keys interface {
	// Lookup is asked again for each attempt and each session: a key that was removed since the
	// last one is nobody's. A certificate is not the key inside it.
	Lookup(key gossh.PublicKey) (who Identity, ok bool)
}

// Git serves one git session.
type Git interface {
	// Serve runs service ("git-receive-pack" or "git-upload-pack") for app and blocks until it is
	// done; it returns the exit status. ctx ends when the client is gone, or when the server stops
	// and has waited for long enough. protocol is the client's GIT_PROTOCOL: "" or "version=N"
	// with N 0, 1 or 2. A Read of stdin blocks until the client sends or goes: whoever reads it in
	// a goroutine must not wait for that goroutine before returning. A write to stdout fails with
	// [ErrUnread] where the client does not read it any more.
	Serve(ctx context.Context, who Identity, service, app, protocol string, stdin io.Reader, stdout, stderr io.Writer) int
}

// Verbs runs one line of the command table: `ssh paas@host apps:list --format json`.
type Verbs interface {
	// Run blocks until the command is done and returns the exit status. args has at least one
	// word. ctx ends when the client is gone, sends a signal that the Console does not bring, or the
	// server begins to stop. About the Console's Stdin see Git.
	Run(ctx context.Context, who Identity, args []string, c Console) int

	// Raw says whether the command of args deals with a terminal's keys and with signals itself.
	Raw(args []string) bool
}

// Server is the SSH door. Addr or Listener, HostKey, Keys, Git and Verbs are needed.
type Server struct {
	Addr    string       // TCP address, such as ":2222"
	HostKey gossh.Signer // the key that the server proves itself with
	Keys    Keys
	Git     Git
	Verbs   Verbs

	// AppName returns what is wrong with an app name, for the person who typed it, or nil.
	AppName func(name string) error
	// AddKeyHint is the exact command that lets an unknown key in, for the one who was refused.
	// publicKeyLine is in authorized_keys format, without a comment. Nil: no command is named.
	AddKeyHint func(fingerprint, publicKeyLine string) string
	Log        *slog.Logger // default slog.Default()

	HandshakeTimeout time.Duration // from its turn to a proven key; default 15s
	IdleTimeout      time.Duration // a connection that sends nothing for so long is closed; default 2m
	QueueTimeout     time.Duration // how long a connection waits for a place; default 30s
	// MaxConns is how many connections there may be at once with keys of admins, and how many with
	// other keys; one key gets half of them. Without a proven key there may be half as many, and from
	// one address an eighth (at least 4). The next ones wait in line. Default 256.
	MaxConns     int
	MaxSessions  int           // sessions at once on one connection; default 10, as OpenSSH has
	DrainTimeout time.Duration // how long a stop waits for sessions in flight; default 30s

	// Listener, if set, is served instead of Addr.
	Listener net.Listener

	ssh    *ssh.Server
	guests guests
	flight flight
	spares spares
	soft   context.Context // ends when the server begins to stop
	hard   context.Context // ends when it stops waiting
}

const (
	defaultHandshake   = 15 * time.Second
	defaultQueue       = 30 * time.Second
	defaultIdle        = 2 * time.Minute
	defaultDrain       = 30 * time.Second
	defaultMaxConns    = 256
	defaultMaxSessions = 10
	hangUp             = 250 * time.Millisecond // for clients to close by themselves after their last session
	lastWords          = 2 * time.Second        // for a cancelled session to return
)

// Listen opens the port. Clients that connect wait until Run. The error is one line for the owner.
func (s *Server) Listen() error {
	if s.ssh != nil {
		return nil
	}
	if s.HostKey == nil || s.Keys == nil || s.Git == nil || s.Verbs == nil || s.AppName == nil {
		return errors.New("sshd: HostKey, Keys, Git, Verbs and AppName must be set")
	}
	if s.Listener == nil {
		var err error
		if s.Listener, err = net.Listen("tcp", s.Addr); err != nil {
			return err
		}
	}
	s.guests.limits(cmp.Or(s.MaxConns, defaultMaxConns))
	s.ssh = s.library(s.HostKey)
	return nil
}

// Address is where the server listens; nil before Listen.
func (s *Server) Address() net.Addr {
	if s.Listener == nil {
		return nil
	}
	return s.Listener.Addr()
}

// Run serves until ctx ends. Then it takes nothing new, cancels the verbs, waits up to
// DrainTimeout for the git sessions in flight, cancels what is left and closes all connections.
// It returns nil after that, or an error where the port fails or a session does not return even
// though it was cancelled. A Server runs once.
func (s *Server) Run(ctx context.Context) error {
	if err := s.Listen(); err != nil {
		return err
	}
	soft, stopSoft := context.WithCancel(context.WithoutCancel(ctx))
	defer stopSoft()
	hard, stopHard := context.WithCancel(context.WithoutCancel(ctx))
	defer stopHard()
	s.soft, s.hard = soft, hard
	stopListening := context.AfterFunc(ctx, func() { s.Listener.Close() })
	defer stopListening()

	var connections sync.WaitGroup
	err := s.accept(ctx, &connections)
	s.Listener.Close()

	idle := s.flight.drain() // before the verbs hear of it, so that whoever sees one end finds the door shut
	stopSoft()
	if !within(idle, cmp.Or(s.DrainTimeout, defaultDrain)) {
		s.log().Warn("sessions did not end in time; cancelling them", "after", cmp.Or(s.DrainTimeout, defaultDrain))
		stopHard()
		if !within(idle, lastWords) {
			err = errors.Join(err, errors.New("a session did not end when it was cancelled"))
		}
	}
	gone := make(chan struct{})
	go func() {
		connections.Wait()
		close(gone)
	}()
	// A connection closed by us with bytes of the client's unread is reset, and the reset can
	// overtake the exit status.
	if !within(gone, hangUp) {
		s.guests.closeAll()
		<-gone
	}
	return err
}

// accept serves each connection in a goroutine of its own, counted in connections, until the
// listener closes. It returns nil if ctx ended.
func (s *Server) accept(ctx context.Context, connections *sync.WaitGroup) error {
	backoff := 5 * time.Millisecond
	for {
		conn, err := s.Listener.Accept()
		switch {
		case err == nil:
			backoff = 5 * time.Millisecond
			connections.Go(func() { s.connection(conn) })
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accept: %w", err)
		default: // out of file descriptors, or a client that left before its turn
			s.log().Warn("accept", "err", err, "again in", backoff)
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(backoff):
			}
			backoff = min(2*backoff, time.Second)
		}
	}
}

// connection serves one connection and survives whatever it does.
func (s *Server) connection(conn net.Conn) {
	defer func() {
		if p := recover(); p != nil {
			s.log().Error("panic in a connection", "addr", conn.RemoteAddr(), "panic", p, "stack", string(debug.Stack()))
		}
	}()
	g, err := s.guests.admit(conn, s.queue(), cmp.Or(s.HandshakeTimeout, defaultHandshake), s.idle())
	if err != nil {
		s.refused(err, "addr", conn.RemoteAddr())
		conn.Close()
		return
	}
	defer g.Close()
	s.ssh.HandleConn(g)
}

// refused logs why a connection found no place. One that left by itself, or at a stop, was not refused.
func (s *Server) refused(err error, whose ...any) {
	if !errors.Is(err, net.ErrClosed) {
		s.log().Warn("connection refused", append(whose, "err", err)...)
	}
}

func (s *Server) idle() time.Duration  { return cmp.Or(s.IdleTimeout, defaultIdle) }
func (s *Server) queue() time.Duration { return cmp.Or(s.QueueTimeout, defaultQueue) }

func (s *Server) log() *slog.Logger {
	if s.Log == nil {
		return slog.Default()
	}
	return s.Log
}

// within waits for done, at most d.
func within(done <-chan struct{}, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-done:
		return true
	case <-t.C:
		return false
	}
}
