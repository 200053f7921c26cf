package sshd

import (
	"cmp"
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

// channel takes one session channel of a connection. It stands between the client and the
// library's session handler, which lets a client grow its memory with env requests, leak a
// goroutine with window changes, and panics on a malformed pty request.
func (s *Server) channel(srv *ssh.Server, conn *gossh.ServerConn, offer gossh.NewChannel, ctx ssh.Context) {
	defer func() {
		if p := recover(); p != nil {
			s.log().Error("panic in a channel", "addr", conn.RemoteAddr(), "panic", p, "stack", string(debug.Stack()))
			conn.Close()
		}
	}()
	g := ctx.Value(guestKey{}).(*guest)
	most := cmp.Or(s.MaxSessions, defaultMaxSessions)
	// The place is free again when the client has closed its side, so that one who never does
	// cannot pile up channels.
	defer g.sessions.Add(-1)
	if int(g.sessions.Add(1)) > most {
		// A failure to send is the end of the connection, which ends everything.
		_ = offer.Reject(gossh.ResourceShortage, fmt.Sprintf("at most %d sessions a connection", most))
		return
	}
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	f := &filter{NewChannel: offer, cancel: cancel, done: make(chan struct{}), unread: make(chan struct{})}
	defer close(f.done)
	ssh.DefaultSessionHandler(srv, conn, f, &sessionContext{Context: ctx, inner: inner, conn: conn, filter: f})
}

// sessionContext is the library's context of the connection, ended with the session: on a
// connection that several sessions share (ControlMaster) one client going away closes a channel
// only.
type sessionContext struct {
	ssh.Context
	inner  context.Context
	conn   *gossh.ServerConn
	filter *filter
}

func (c *sessionContext) Done() <-chan struct{} { return c.inner.Done() }
func (c *sessionContext) Err() error            { return c.inner.Err() }
func (c *sessionContext) Value(key any) any     { return c.inner.Value(key) }

// filter is an offered channel that hands on only the requests a session needs (RFC 4254, 6):
// exec, shell and one pty-req. GIT_PROTOCOL and the terminal's size it keeps, a client's signal it
// turns into the end of the session or hands to a command that takes signals, a client that stopped
// reading it reports to the command, and everything else it refuses.
type filter struct {
	gossh.NewChannel
	cancel  context.CancelFunc
	done    chan struct{} // the reader of the requests is gone
	channel gossh.Channel // accepted
	unread  chan struct{} // closed when the client does not read the output any more

	// Written before exec is handed on.
	protocol string
	terminal *terminal.Terminal // nil: the client has none

	sizes   terminal.Sizes
	mu      sync.Mutex
	signals chan syscall.Signal // nil: nobody takes them
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
		defer close(out) // ends the library's handler, and with it the session's context
		// Until the client closes: requests that nobody takes stop the whole connection.
		f.pass(ch, in, out)
	}()
	return ch, out, nil
}

func (f *filter) pass(ch gossh.Channel, in <-chan *gossh.Request, out chan<- *gossh.Request) {
	started := false
	stopReading := sync.OnceFunc(func() { close(f.unread) })
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
				f.terminal = &terminal.Terminal{Type: terminal.CheckType(msg.Term), Size: sizeOf(msg.Columns, msg.Rows), Resized: f.sizes}
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
				ok = f.signal(msg.Name)
			}
		case "eow@openssh.com": // no reply is wanted
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
				continue // the library answers it
			case <-f.done:
			}
		}
		_ = req.Reply(ok, nil) // fails only if the client is gone, which ends the loop
	}
}

// refuseSubsystem (sftp, and scp since OpenSSH 9) says why in the form of a command that fails: on a
// refusal in the protocol OpenSSH quits before it prints what it was told. Nothing runs. Each step
// may fail if the client is gone, and then there is nobody to tell.
func refuseSubsystem(ch gossh.Channel, req *gossh.Request) {
	_ = req.Reply(true, nil)
	complain(ch.Stderr(), "no file transfer and no subsystem is served here: send files with git push")
	_, _ = ch.SendRequest("exit-status", false, gossh.Marshal(struct{ Status uint32 }{1}))
	_ = ch.Close()
}

// ptyRequest is RFC 4254, 6.2.
type ptyRequest struct {
	Term                         string
	Columns, Rows, Width, Height uint32
	Modes                        string
}

// sizeOf is a size that a client claims; what no terminal has is unknown.
func sizeOf(columns, rows uint32) terminal.Size {
	if columns > math.MaxUint16 || rows > math.MaxUint16 {
		return terminal.Size{}
	}
	return terminal.Size{Columns: uint16(columns), Rows: uint16(rows)}
}

// ending are the signals that end a program, and other the two that mean what the program likes, by
// their names in RFC 4254, 6.10.
var (
	ending = map[string]syscall.Signal{
		"HUP": syscall.SIGHUP, "INT": syscall.SIGINT, "KILL": syscall.SIGKILL, "QUIT": syscall.SIGQUIT, "TERM": syscall.SIGTERM,
	}
	other = map[string]syscall.Signal{"USR1": syscall.SIGUSR1, "USR2": syscall.SIGUSR2}
)

// takeSignals has the client's signals handed to the command.
func (f *filter) takeSignals() <-chan syscall.Signal {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.signals = make(chan syscall.Signal, 8)
	return f.signals
}

// signal hands a signal to who takes it; otherwise those that end a program end the session, and how
// its processes end is up to who runs them.
func (f *filter) signal(name string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	sig, ends := ending[name]
	if f.signals == nil {
		if ends {
			f.cancel()
		}
		return ends
	}
	if !ends {
		sig = other[name]
	}
	if sig == 0 {
		return false
	}
	select {
	case f.signals <- sig:
		return true
	default: // it is being stopped already
		return false
	}
}
