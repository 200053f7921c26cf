package attach

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"paas/frame"
	"paas/terminal"
)

// Session is a request and its command's streams.
type Session struct {
	Request
	In       io.Reader // ends with an error other than io.EOF if the client is gone
	Out, Err io.Writer
	Signals  <-chan syscall.Signal
}

// Server runs what clients request. All fields are required but DrainTimeout.
type Server struct {
	Listener net.Listener
	// Handle runs a session's command and blocks until none of its processes is left. ctx ends when
	// the client hangs up or the server stops. It returns the exit status; the client shows err to
	// the person.
	Handle func(ctx context.Context, s Session) (status int, err error)
	Log    *slog.Logger

	DrainTimeout time.Duration // for sessions after Leave

	leaves atomic.Bool
}

// Leave lets Run, when its ctx ends, first wait for the sessions, at most DrainTimeout.
func (s *Server) Leave() { s.leaves.Store(true) }

var errStopping = errors.New("the server is stopping")

// finalTimeout is how long the client may take for each write after the session's end. A client
// that does not read must not delay the end of the command.
const finalTimeout = 2 * time.Second

// Run serves until ctx ends, then ends all sessions and waits for them.
func (s *Server) Run(ctx context.Context) error {
	var sessions sync.WaitGroup
	defer sessions.Wait()
	all, end := context.WithCancelCause(context.WithoutCancel(ctx))
	defer end(errStopping) // the cause, else a command would seem to have ended by itself
	defer context.AfterFunc(ctx, func() { s.Listener.Close() })()
	for {
		conn, err := s.Listener.Accept()
		switch {
		case ctx.Err() != nil:
			if err == nil {
				conn.Close()
			}
			if s.leaves.Load() {
				s.await(&sessions)
			}
			return nil
		case errors.Is(err, net.ErrClosed):
			return fmt.Errorf("accept: %w", err)
		case err != nil: // probably out of file descriptors, for a while
			s.Log.Error("accept session", "err", err)
			time.Sleep(50 * time.Millisecond)
			continue
		}
		sessions.Go(func() {
			if err := s.serve(all, conn); err != nil {
				s.Log.Error("session failed", "err", err)
			}
		})
	}
}

// await waits for the sessions, at most DrainTimeout.
func (s *Server) await(sessions *sync.WaitGroup) {
	ended := make(chan struct{})
	go func() {
		sessions.Wait()
		close(ended)
	}()
	select {
	case <-ended:
	case <-time.After(s.DrainTimeout):
	}
}

// serve serves one client.
func (s *Server) serve(ctx context.Context, conn net.Conn) error {
	defer conn.Close()
	conn.SetReadDeadline(time.Now().Add(requestTimeout))
	in := bufio.NewReader(conn)
	req, err := readRequest(in)
	if err == io.EOF { // only a check whether the server runs
		return nil
	}
	if err != nil {
		return err
	}
	conn.SetReadDeadline(time.Time{})

	ctx, hungUp := context.WithCancel(ctx)
	defer hungUp()
	out := &outbox{ctx: ctx, conn: conn}
	defer context.AfterFunc(ctx, out.hurry)()
	e := newEvents(out)
	if req.Terminal != nil {
		req.Terminal.Resized = e.sizes
	}
	var broken error
	received := make(chan struct{})
	go func() {
		defer close(received)
		broken = e.receive(in)
		e.in.finish(io.ErrUnexpectedEOF)
		hungUp()
	}()
	status, err := s.handle(ctx, Session{
		Request: req, In: e.in, Signals: e.signals,
		Out: frame.Writer{To: out, Kind: frameOut}, Err: frame.Writer{To: out, Kind: frameErr},
	})
	if err != nil {
		text := err.Error()
		frame.Write(out, frameFault, []byte(text[:min(len(text), frame.Max)]))
	}
	frame.Write(out, frameExit, []byte{byte(status)})
	conn.Close()
	<-received
	return broken
}

func (s *Server) handle(ctx context.Context, session Session) (status int, err error) {
	defer func() {
		if p := recover(); p != nil { // else one odd command would end the server
			s.Log.Error("panic", "app", session.App, "err", p, "stack", string(debug.Stack()))
			status, err = 1, errors.New("internal error, see the server's log")
		}
	}()
	return s.Handle(ctx, session)
}

// outbox writes to the client, one frame at a time.
type outbox struct {
	ctx    context.Context
	conn   net.Conn
	mu     sync.Mutex
	broken error
}

// Write blocks while the client does not read, unless the session is over.
func (o *outbox) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.broken != nil {
		return 0, o.broken
	}
	if o.ctx.Err() != nil {
		o.hurry()
	}
	n, err := o.conn.Write(p)
	o.broken = err
	return n, err
}

// hurry limits the time of the current write.
func (o *outbox) hurry() { o.conn.SetWriteDeadline(time.Now().Add(finalTimeout)) }

// events receives what the client sends while the command runs.
type events struct {
	in      *inbox
	sizes   terminal.Sizes
	signals chan syscall.Signal
}

func newEvents(out io.Writer) events {
	return events{
		in: newInbox(func(n int) {
			frame.Write(out, frameTaken, binary.BigEndian.AppendUint32(nil, uint32(n)))
		}),
		sizes: terminal.NewSizes(), signals: make(chan syscall.Signal, 8),
	}
}

// receive stores what the client sends, until it hangs up. It waits for nothing else. An error
// means that the client violates the protocol.
func (e events) receive(r io.Reader) error {
	for {
		k, content, err := frame.Read(r)
		if err == io.ErrUnexpectedEOF || isGone(err) {
			return nil
		}
		if err != nil {
			return err
		}
		ok := true
		switch k {
		case frameIn:
			err = e.in.put(content)
		case frameInEnd:
			e.in.finish(io.EOF)
		case frameSize:
			var size terminal.Size
			if size, ok = parseSize(content); ok {
				e.sizes.Put(size)
			}
		case frameSignal:
			var sig syscall.Signal
			if sig, ok = parseSignal(content); ok {
				select {
				case e.signals <- sig:
				default: // like the kernel, do not queue a pending signal again
				}
			}
		default:
			ok = false
		}
		if err != nil {
			return err
		}
		if !ok {
			return fmt.Errorf("unexpected frame %q %.20q", k, content)
		}
	}
}

// isGone reports whether err is the end of a connection by either side.
func isGone(err error) bool {
	return errors.Is(err, io.EOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, syscall.ECONNRESET) || errors.Is(err, io.ErrClosedPipe)
}
