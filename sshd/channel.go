package sshd

import (
	"context"
	"fmt"
	"math"
	"regexp"
	"runtime/debug"
	"sync"
	"syscall"

	"github.com/gliderlabs/ssh"
	gossh "golang.org/x/crypto/ssh"

	"paas/terminal"
)

// channel serves a session channel. It filters requests for the library's session handler, which
// lets a client grow its memory with env requests, leaks a goroutine on window changes, and panics
// on a malformed pty request.
func (s *Server) channel(srv *ssh.Server, conn *gossh.ServerConn, offer gossh.NewChannel,
	ctx ssh.Context) {
	defer func() {
		if p := recover(); p != nil {
			s.Log.Error("panic while serving a channel", "addr", conn.RemoteAddr(), "panic", p,
				"stack", string(debug.Stack()))
			conn.Close()
		}
	}()
	c := ctx.Value(clientConnKey{}).(*clientConn)
	// Decrement only when the client has closed its side: otherwise a client that never does could
	// pile up channels.
	defer c.sessions.Add(-1)
	if int(c.sessions.Add(1)) > s.MaxSessions {
		// If this fails, the connection has ended.
		_ = offer.Reject(gossh.ResourceShortage,
			fmt.Sprintf("at most %d sessions per connection", s.MaxSessions))
		return
	}
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	f := &filter{NewChannel: offer, cancel: cancel, done: make(chan struct{}),
		outputClosed: make(chan struct{})}
	defer close(f.done)
	ssh.DefaultSessionHandler(srv, conn, f, &sessionContext{Context: ctx, inner: inner, conn: conn,
		filter: f})
}

// sessionContext is the library's context of a connection, but ends with the session: on a shared
// connection (ControlMaster) a client that leaves closes only its channel.
type sessionContext struct {
	ssh.Context
	inner  context.Context
	conn   *gossh.ServerConn
	filter *filter
}

func (c *sessionContext) Done() <-chan struct{} { return c.inner.Done() }
func (c *sessionContext) Err() error            { return c.inner.Err() }
func (c *sessionContext) Value(key any) any     { return c.inner.Value(key) }

// filter is a channel that passes on only the requests that a session needs (RFC 4254, 6): exec,
// shell and one pty-req. It records GIT_PROTOCOL and the terminal's size. A signal from the client
// ends the session, or is passed to a command that accepts signals. If the client closes its
// output, the command is told. All other requests are refused.
type filter struct {
	gossh.NewChannel
	cancel       context.CancelFunc
	done         chan struct{} // closed when nobody reads requests any more
	channel      gossh.Channel // the accepted channel
	outputClosed chan struct{} // closed when the client reads no more output

	// Written before exec is passed on.
	protocol string
	terminal *terminal.Terminal // nil if there is none

	sizes   terminal.Sizes
	mu      sync.Mutex
	signals chan syscall.Signal // nil unless the command accepts signals
}

var gitProtocol = regexp.MustCompile(`^version=[012]$`)

func (f *filter) Accept() (gossh.Channel, <-chan *gossh.Request, error) {
	ch, in, err := f.NewChannel.Accept()
	if err != nil {
		return nil, nil, err
	}
	f.channel = ch
	out := make(chan *gossh.Request)
	go func() {
		defer close(out) // ends the library's handler and the session's context
		// Read until the client closes: unread requests would block the whole connection.
		f.filterRequests(ch, in, out)
	}()
	return ch, out, nil
}

func (f *filter) filterRequests(ch gossh.Channel, in <-chan *gossh.Request,
	out chan<- *gossh.Request) {
	started := false
	stopReading := sync.OnceFunc(func() { close(f.outputClosed) })
	for req := range in {
		ok, on := false, false
		switch req.Type {
		case "shell":
			on = !started
			started = true
		case "exec":
			var msg struct{ Command string }
			on = !started && gossh.Unmarshal(req.Payload, &msg) == nil
			started = started || on
		case "pty-req":
			var msg ptyRequest
			on = !started && f.terminal == nil && gossh.Unmarshal(req.Payload, &msg) == nil
			if on {
				f.sizes = terminal.NewSizes()
				f.terminal = &terminal.Terminal{Type: terminal.CheckType(msg.Term),
					Size: sizeOf(msg.Columns, msg.Rows), Resized: f.sizes}
			}
		case "env":
			var msg struct{ Name, Value string }
			ok = !started && gossh.Unmarshal(req.Payload, &msg) == nil &&
				msg.Name == "GIT_PROTOCOL" && gitProtocol.MatchString(msg.Value)
			if ok {
				f.protocol = msg.Value
			}
		case "signal":
			var msg struct{ Name string }
			if gossh.Unmarshal(req.Payload, &msg) == nil {
				f.signal(msg.Name, func(taken bool) { _ = req.Reply(taken, nil) })
				continue
			}
		case "eow@openssh.com": // wants no reply
			stopReading()
		case "window-change":
			var msg struct{ Columns, Rows, Width, Height uint32 }
			ok = f.terminal != nil && gossh.Unmarshal(req.Payload, &msg) == nil
			if ok {
				f.sizes.Put(sizeOf(msg.Columns, msg.Rows))
			}
		case "subsystem":
			if !started {
				started = true
				refuseSubsystem(ch, req)
				continue
			}
		}
		if on {
			select {
			case out <- req:
				continue // the library replies
			case <-f.done:
			}
		}
		_ = req.Reply(ok, nil) // fails only if the client is gone, which ends the loop
	}
}

// refuseSubsystem refuses a subsystem such as sftp, which scp uses since OpenSSH 9. It looks like a
// command that fails, because OpenSSH does not print messages about a refused request. Errors are
// ignored: then the client is gone.
func refuseSubsystem(ch gossh.Channel, req *gossh.Request) {
	_ = req.Reply(true, nil)
	printError(ch.Stderr(), "file transfer and subsystems are not supported: send files with git "+
		"push")
	_, _ = ch.SendRequest("exit-status", false, gossh.Marshal(struct{ Status uint32 }{1}))
	_ = ch.Close()
}

// ptyRequest is the payload of pty-req (RFC 4254, 6.2).
type ptyRequest struct {
	Term                         string
	Columns, Rows, Width, Height uint32
	Modes                        string
}

// sizeOf returns a client's terminal size, or the zero Size if it is impossible.
func sizeOf(columns, rows uint32) terminal.Size {
	if columns > math.MaxUint16 || rows > math.MaxUint16 {
		return terminal.Size{}
	}
	return terminal.Size{Columns: uint16(columns), Rows: uint16(rows)}
}

// terminatingSignals terminate a program by default; otherSignals are for its own use. The names
// are from RFC 4254, 6.10.
var (
	terminatingSignals = map[string]syscall.Signal{
		"HUP": syscall.SIGHUP, "INT": syscall.SIGINT, "KILL": syscall.SIGKILL,
		"QUIT": syscall.SIGQUIT, "TERM": syscall.SIGTERM,
	}
	otherSignals = map[string]syscall.Signal{"USR1": syscall.SIGUSR1, "USR2": syscall.SIGUSR2}
)

// takeSignals makes the client's signals go to the command.
func (f *filter) takeSignals() <-chan syscall.Signal {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.signals = make(chan syscall.Signal, 8)
	return f.signals
}

// signal passes a signal to the command if it accepts signals. Otherwise a terminating signal ends
// the session, and the runner of its processes decides how they end. The client gets its reply
// first: the session may end with the signal.
func (f *filter) signal(name string, reply func(taken bool)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	sig, ends := terminatingSignals[name]
	if f.signals == nil {
		reply(ends)
		if ends {
			f.cancel()
		}
		return
	}
	if !ends {
		sig = otherSignals[name]
	}
	// Nobody else sends, so what has room now has room after the reply.
	taken := sig != 0 && len(f.signals) < cap(f.signals)
	reply(taken)
	if taken {
		f.signals <- sig
	}
}
