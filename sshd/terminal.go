package sshd

import (
	"bytes"
	"context"
	"errors"
	"io"
	"sync"
	"syscall"

	"github.com/gliderlabs/ssh"

	"paas/terminal"
)

// What a terminal in raw mode sends for these keys; nobody but us turns them into anything.
const (
	ctrlC = 3
	ctrlD = 4
)

// Console is where a command reads and writes. On a terminal (`ssh -t`) both outputs go one way, where
// \n goes out as \r\n.
type Console struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer

	Unread   <-chan struct{}       // closed when the client does not read Stdout and Screen any more
	Terminal *terminal.Terminal    // the client's; nil: it has none
	Screen   io.Writer             // the terminal, byte for byte; nil without one
	Signals  <-chan syscall.Signal // what the client sends, where the command is raw
}

// console is that of a session. There is no terminal device behind it, so what people rely on is done
// here, but for commands that are raw: Ctrl-C ends the session's context, Ctrl-D ends the input, return
// sends a newline. That is not for binary data.
func (s *Server) console(ctx *sessionContext, sess ssh.Session, args []string) Console {
	unread := ctx.filter.unread
	c := Console{Stdin: sess, Stdout: &pipe{sess, unread}, Stderr: sess.Stderr(), Unread: unread}
	raw := len(args) > 0 && s.Verbs.Raw(args)
	if raw {
		c.Signals = ctx.filter.takeSignals()
	}
	if c.Terminal = ctx.filter.terminal; c.Terminal == nil {
		return c
	}
	var one sync.Mutex // the SSH library allows one writer at a time
	both := &pipe{&lockedWriter{mu: &one, w: sess}, unread}
	c.Stdout, c.Stderr = both, both
	c.Screen = &pipe{&lockedWriter{mu: &one, w: ctx.filter.channel}, unread}
	if !raw {
		c.Stdin = typed(ctx, sess, ctx.filter.cancel)
	}
	return c
}

// typed reads the keys pressed until keys ends, also while the command reads nothing, since Ctrl-C
// must work then. What is typed far ahead of a command that does not read is lost.
func typed(ctx context.Context, keys io.Reader, interrupt context.CancelFunc) io.Reader {
	in, out := io.Pipe()
	context.AfterFunc(ctx, func() { out.Close() }) // a command that read nothing would hold the second goroutine
	lines := make(chan []byte, 256)
	go func() {
		for open := true; ; {
			buf := make([]byte, 1024)
			n, err := keys.Read(buf)
			text := bytes.ReplaceAll(buf[:n], []byte("\r"), []byte("\n"))
			if bytes.IndexByte(text, ctrlC) >= 0 {
				interrupt()
			}
			if open {
				text, _, end := bytes.Cut(text, []byte{ctrlD})
				select {
				case lines <- text:
				default:
				}
				if end || err != nil {
					close(lines)
					open = false
				}
			}
			if err != nil {
				return
			}
		}
	}()
	go func() {
		defer out.Close()
		for text := range lines {
			if _, err := out.Write(text); err != nil {
				return
			}
		}
	}()
	return in
}

// ErrUnread is the error of a write that the client will not read.
var ErrUnread = errors.New("nobody reads the output any more")

// pipe fails as the pipe of a program does whose reader has left. A client such as OpenSSH, whose
// standard output is closed (ssh ... logs -t | head -n 1), reports that and drops the rest.
type pipe struct {
	w      io.Writer
	unread <-chan struct{}
}

func (p *pipe) Write(b []byte) (int, error) {
	select {
	case <-p.unread:
		return 0, ErrUnread
	default:
		return p.w.Write(b)
	}
}

// lockedWriter lets streams share a channel.
type lockedWriter struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
