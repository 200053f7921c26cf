package sshd

import (
	"bytes"
	"context"
	"io"
	"sync"
	"syscall"

	"github.com/gliderlabs/ssh"

	"paas/terminal"
)

// Keys that a terminal in raw mode sends as characters.
const (
	ctrlC = 3
	ctrlD = 4
)

// Console is the input and output of a command. On a terminal (`ssh -t`) both outputs are the same,
// and \n is written as \r\n.
type Console struct {
	Stdin          io.Reader
	Stdout, Stderr io.Writer

	OutputClosed <-chan struct{}       // closed when the client reads no more output
	Terminal     *terminal.Terminal    // nil if there is none
	Screen       io.Writer             // raw output to the terminal; nil without one
	Signals      <-chan syscall.Signal // from the client; only for raw commands
}

// console returns the session's console. There is no terminal device, so except for raw commands it
// does itself what people expect: Ctrl-C ends the session's context, Ctrl-D ends the input, and
// return sends a newline. Do not use it for binary data.
func (s *Server) console(ctx *sessionContext, sess ssh.Session, args []string) Console {
	unread := ctx.filter.outputClosed
	c := Console{Stdin: sess, Stdout: &outputPipe{sess, unread}, Stderr: sess.Stderr(),
		OutputClosed: unread}
	raw := len(args) > 0 && s.Verbs.Raw(args)
	if raw {
		c.Signals = ctx.filter.takeSignals()
	}
	if c.Terminal = ctx.filter.terminal; c.Terminal == nil {
		return c
	}
	var one sync.Mutex // the SSH library allows one writer at a time
	both := &outputPipe{&lockedWriter{mu: &one, w: sess}, unread}
	c.Stdout, c.Stderr = both, both
	c.Screen = &outputPipe{&lockedWriter{mu: &one, w: ctx.filter.channel}, unread}
	if !raw {
		c.Stdin = readKeys(ctx, sess, ctx.filter.cancel)
	}
	return c
}

// readKeys reads keys until the input ends, even if the command does not read them, because Ctrl-C
// must always work. If the command reads too little, keys are dropped.
func readKeys(ctx context.Context, keys io.Reader, interrupt context.CancelFunc) io.Reader {
	in, out := io.Pipe()
	// else the second goroutine would block if the command reads nothing
	context.AfterFunc(ctx, func() { out.Close() })
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

// outputPipe fails like a pipe without a reader once the client has closed its output. OpenSSH's
// client reports that (ssh ... logs -t | head -n 1) and discards further output.
type outputPipe struct {
	w      io.Writer
	closed <-chan struct{}
}

func (p *outputPipe) Write(b []byte) (int, error) {
	select {
	case <-p.closed:
		return 0, terminal.ErrOutputClosed
	default:
		return p.w.Write(b)
	}
}

// lockedWriter lets several streams share a channel.
type lockedWriter struct {
	mu *sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
