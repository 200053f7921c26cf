package attach

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"time"

	"paas/frame"
	"paas/terminal"
)

// Streams are the client's ends of the command's streams.
type Streams struct {
	In       io.Reader // nil: empty
	Out, Err io.Writer // with a terminal only Out
	Signals  <-chan syscall.Signal
}

// ErrStopped means that the server stopped during a session.
var ErrStopped = errors.New("the server stopped, and so did the command")

// Run asks the server at the other end of conn to run r, and blocks until the command has ended. It
// returns the exit status; the error is for the person. When ctx ends it hangs up, which stops the
// command. It closes conn. A read of s.In may still be blocked when it returns.
func Run(ctx context.Context, conn net.Conn, r Request, s Streams) (status int, err error) {
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	c := &client{conn: conn, over: make(chan struct{}), space: window}
	c.change.L = &c.mu
	defer c.end()
	if err := writeRequest(conn, r); err != nil {
		return 1, c.why(ctx, err)
	}
	go c.sendInput(ctx, s.In)
	go c.sendEvents(r.Terminal, s.Signals)
	in := bufio.NewReader(conn)
	var fault error
	for {
		k, content, err := frame.Read(in)
		if err != nil {
			return 1, c.why(ctx, err)
		}
		switch {
		case k == frameOut:
			_, err = s.Out.Write(content)
		case k == frameErr:
			_, err = s.Err.Write(content)
		case k == frameTaken && len(content) == 4:
			c.more(int(binary.BigEndian.Uint32(content)))
		case k == frameFault:
			fault = errors.New(string(content))
		case k == frameExit && len(content) == 1:
			return int(content[0]), fault
		default:
			return 1, ErrStopped // or not our server
		}
		if err != nil { // the reader is gone
			return 1, err
		}
	}
}

// client is the sending half of a session.
type client struct {
	conn net.Conn
	over chan struct{} // closed when the session ends

	sending sync.Mutex // held while a frame is sent

	mu     sync.Mutex
	change sync.Cond
	space  int // bytes of input that the server has space for
	ended  bool
}

// why returns the reason for the end of a session after err.
func (c *client) why(ctx context.Context, err error) error {
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case isGone(err), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, syscall.EPIPE):
		return ErrStopped
	}
	return err
}

func (c *client) send(k frame.Kind, content []byte) error {
	c.sending.Lock()
	defer c.sending.Unlock()
	c.conn.SetWriteDeadline(time.Now().Add(sendTimeout))
	return frame.Write(c.conn, k, content)
}

// sendInput sends input as the server has space for it.
func (c *client) sendInput(ctx context.Context, in io.Reader) {
	if in == nil {
		c.send(frameInEnd, nil)
		return
	}
	buffer := make([]byte, frame.Max)
	for {
		n, err := in.Read(buffer)
		for rest := buffer[:n]; len(rest) > 0; {
			part := c.take(len(rest))
			if part == 0 || c.send(frameIn, rest[:part]) != nil {
				return
			}
			rest = rest[part:]
		}
		if err != nil {
			break
		}
	}
	// A lost connection looks like the end of the input for a moment. But half a file must not pass
	// for the whole.
	select {
	case <-ctx.Done():
	case <-c.over:
	case <-time.After(20 * time.Millisecond):
		c.send(frameInEnd, nil)
	}
}

// take waits for space and takes at most n bytes of it; 0 means that the session has ended.
func (c *client) take(n int) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.space == 0 && !c.ended {
		c.change.Wait()
	}
	if c.ended {
		return 0
	}
	n = min(n, c.space)
	c.space -= n
	return n
}

func (c *client) more(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.space = min(c.space+n, window)
	c.change.Broadcast()
}

func (c *client) end() {
	close(c.over)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	c.change.Broadcast()
}

// sendEvents sends signals and changes of the terminal's size.
func (c *client) sendEvents(t *terminal.Terminal, signals <-chan syscall.Signal) {
	var sizes <-chan terminal.Size
	if t != nil {
		sizes = t.Resized
	}
	for {
		var err error
		select {
		case <-c.over:
			return
		case size := <-sizes:
			err = c.send(frameSize, sizeFrame(size))
		case sig := <-signals:
			err = c.send(frameSignal, []byte{byte(sig)})
		}
		if err != nil {
			return
		}
	}
}
