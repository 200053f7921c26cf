package sshd

import (
	"bytes"
	"context"
	"io"
	"sync"

	"github.com/gliderlabs/ssh"
)

// What a terminal in raw mode sends for these keys; nobody but us turns them into anything.
const (
	ctrlC = 3
	ctrlD = 4
)

// onTerminal is the console of a session with a terminal (`ssh -t`). There is no terminal device
// behind it, so what people rely on is done here: Ctrl-C ends the session's context, Ctrl-D ends
// the input, return sends a newline. Both outputs go one way, as on a terminal, where the library
// turns \n into \r\n. It is not for binary data.
func onTerminal(ctx *sessionContext, sess ssh.Session) console {
	out := &lockedWriter{w: sess}
	return console{stdin: typed(ctx, sess, ctx.filter.cancel), stdout: out, stderr: out}
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

// lockedWriter lets two streams share a channel: the SSH library allows one writer at a time.
type lockedWriter struct {
	mu sync.Mutex
	w  io.Writer
}

func (l *lockedWriter) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.w.Write(p)
}
