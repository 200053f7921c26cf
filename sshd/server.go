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
	"sync/atomic"
	"time"

	"github.com/gliderlabs/ssh"
	gossh "golang.org/x/crypto/ssh"
)

// Identity is the holder of a key that a session proved.
type Identity struct {
	Name        string // of the person
	Admin       bool
	Fingerprint string // "SHA256:..."
	From        net.Addr
}

// Keys maps public keys to their holders.
type Keys interface {
	// Lookup is called for each authentication and each session, so that a removed key stops
	// working at once. A certificate is not the key inside it. The error is [ErrUnknownKey], or
	// says for the holder why the key does not count now.
	Lookup(key gossh.PublicKey, from net.Addr) (Identity, error)
}

// ErrUnknownKey is the error for a key that nobody has.
var ErrUnknownKey = errors.New("unknown key")

// Git runs git sessions.
type Git interface {
	// Serve runs service ("git-receive-pack" or "git-upload-pack") for app. It blocks until the
	// session is over and returns the exit status. ctx ends when the client leaves, or when the
	// server stops and DrainTimeout is over. protocol is the client's GIT_PROTOCOL: "" or
	// "version=N" with N 0, 1 or 2. Reading stdin can block until the client leaves, so Serve must
	// not wait for a goroutine that reads it. Writing to stdout returns [terminal.ErrOutputClosed]
	// once the client no longer reads it.
	Serve(ctx context.Context, who Identity, service, app, protocol string, stdin io.Reader, stdout,
		stderr io.Writer) int
}

// Verbs runs lines of the command table, such as `ssh -p 2222 paas@host apps:list --format json`.
type Verbs interface {
	// Run blocks until the command has finished and returns the exit status. args has at least one
	// word. ctx ends when the client leaves or sends a signal that is not in c.Signals, or when the
	// server begins to stop. For c.Stdin see Git.
	Run(ctx context.Context, who Identity, args []string, c Console) int

	// Raw reports whether the command handles a terminal's keys and signals itself.
	Raw(args []string) bool
}

// Server is the SSH server. Addr or Listener, HostKey, Keys, Git, Verbs and AppName must be set.
type Server struct {
	Addr    string       // TCP address, such as ":2222"
	HostKey gossh.Signer // identifies the server
	Keys    Keys
	Git     Git
	Verbs   Verbs

	// AppName returns an error, for the person at the client, if an app name is invalid.
	AppName func(name string) error
	// AddKeyHint returns a command that adds an unknown key, to be shown to its holder.
	// publicKeyLine has the format of authorized_keys, without a comment. Optional.
	AddKeyHint func(fingerprint, publicKeyLine string) string
	Log        *slog.Logger // default slog.Default()

	HandshakeTimeout time.Duration // to prove a key, once admitted; default 15s
	IdleTimeout      time.Duration // without data from the client; default 2m
	QueueTimeout     time.Duration // to wait for a slot; default 30s
	// MaxConns is the maximum number of connections with keys of admins, and the same with other
	// keys; one key may have half of them. Unauthenticated connections may be half as many, and an
	// eighth (at least 4) per address. More connections wait in a queue. Default 256.
	MaxConns     int
	MaxSessions  int           // per connection; default 10, as in OpenSSH
	DrainTimeout time.Duration // for running sessions when the server stops; default 30s

	// Listener, if set, is used instead of Addr.
	Listener net.Listener

	ssh       *ssh.Server
	conns     clientConns
	sessions  sessionCount
	unneeded  unneededKeys
	leaves    atomic.Bool     // another server takes over
	stopping  context.Context // done when the server begins to stop
	cancelled context.Context // done when DrainTimeout is over
}

const (
	// for clients to close the connection after their last session
	closeGrace  = 250 * time.Millisecond
	cancelGrace = 2 * time.Second // for cancelled sessions to return
)

// Listen opens the port. Clients can connect, and are served by Run. The error is one line.
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
	s.Log = cmp.Or(s.Log, slog.Default())
	s.HandshakeTimeout = cmp.Or(s.HandshakeTimeout, 15*time.Second)
	s.IdleTimeout = cmp.Or(s.IdleTimeout, 2*time.Minute)
	s.QueueTimeout = cmp.Or(s.QueueTimeout, 30*time.Second)
	s.MaxSessions = cmp.Or(s.MaxSessions, 10)
	s.DrainTimeout = cmp.Or(s.DrainTimeout, 30*time.Second)
	s.conns.setLimits(cmp.Or(s.MaxConns, 256))
	s.ssh = s.newSSHServer(s.HostKey)
	return nil
}

// Address returns the address that the server listens on, or nil before Listen.
func (s *Server) Address() net.Addr {
	if s.Listener == nil {
		return nil
	}
	return s.Listener.Addr()
}

// Run serves until ctx ends. Then it accepts nothing new, cancels commands, waits up to
// DrainTimeout for git sessions, cancels the remaining ones, closes all connections and returns
// nil. After Leave it first waits for commands too, within DrainTimeout. It returns an error if the
// listener fails, or if a cancelled session does not return. A Server runs once.
func (s *Server) Run(ctx context.Context) error {
	if err := s.Listen(); err != nil {
		return err
	}
	soft, stopSoft := context.WithCancel(context.WithoutCancel(ctx))
	defer stopSoft()
	hard, stopHard := context.WithCancel(context.WithoutCancel(ctx))
	defer stopHard()
	s.stopping, s.cancelled = soft, hard
	stopListening := context.AfterFunc(ctx, func() { s.Listener.Close() })
	defer stopListening()

	var connections sync.WaitGroup
	err := s.accept(ctx, &connections)
	s.Listener.Close()

	patience := s.DrainTimeout
	if s.leaves.Load() && !waitFor(s.sessions.leave(), patience) {
		patience = 0
	}
	// before commands are cancelled: whoever sees one end must not get in again
	idle := s.sessions.drain()
	stopSoft()
	if !waitFor(idle, patience) {
		s.Log.Warn("sessions did not end in time; cancelling them", "after", s.DrainTimeout)
		stopHard()
		if !waitFor(idle, cancelGrace) {
			err = errors.Join(err, errors.New("a cancelled session did not end"))
		}
	}
	gone := make(chan struct{})
	go func() {
		connections.Wait()
		close(gone)
	}()
	// Closing a connection with unread input resets it, and the reset can overtake the exit status.
	if !waitFor(gone, closeGrace) {
		s.conns.closeAll()
		<-gone
	}
	return err
}

// Leave lets Run, when its ctx ends, hand over to another server that accepts from the same socket:
// commands go on too, and clients that are connected may begin sessions, all within DrainTimeout.
func (s *Server) Leave() { s.leaves.Store(true) }

// accept serves each connection in a goroutine counted in connections, until the listener closes.
// It returns nil if ctx has ended.
func (s *Server) accept(ctx context.Context, connections *sync.WaitGroup) error {
	backoff := 5 * time.Millisecond
	for {
		conn, err := s.Listener.Accept()
		switch {
		case err == nil:
			backoff = 5 * time.Millisecond
			connections.Go(func() { s.serveConn(conn) })
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accept: %w", err)
		default: // out of file descriptors, or a client that left early
			s.Log.Warn("accept", "err", err, "retry", backoff)
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(backoff):
			}
			backoff = min(2*backoff, time.Second)
		}
	}
}

// serveConn serves a connection and recovers from panics.
func (s *Server) serveConn(conn net.Conn) {
	defer func() {
		if p := recover(); p != nil {
			s.Log.Error("panic while serving a connection", "addr", conn.RemoteAddr(), "panic", p,
				"stack", string(debug.Stack()))
		}
	}()
	settle := s.sessions.arrive()
	defer settle()
	c, err := s.conns.admit(conn, s.QueueTimeout, s.HandshakeTimeout, s.IdleTimeout)
	if err != nil {
		s.logRefused(err, "addr", conn.RemoteAddr())
		conn.Close()
		return
	}
	defer c.Close()
	c.settle = settle
	s.ssh.HandleConn(c)
}

// logRefused logs why a connection was refused, unless it was closed.
func (s *Server) logRefused(err error, whose ...any) {
	if !errors.Is(err, net.ErrClosed) {
		s.Log.Warn("connection refused", append(whose, "err", err)...)
	}
}

// waitFor waits for done, at most d, and reports whether it is closed.
func waitFor(done <-chan struct{}, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-done:
		return true
	case <-t.C:
		return false
	}
}
