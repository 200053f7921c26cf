package attach

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"paas/frame"
	"paas/rig"
	"paas/terminal"
)

// world is a server whose commands are functions.
type world struct {
	t    *testing.T
	path string
	log  *rig.Screen
	stop func() // ends the server and waits for it
}

func serve(t *testing.T, handle func(context.Context, Session) (int, error)) world {
	t.Helper()
	dir, err := os.MkdirTemp("", "attach") // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	w := world{t: t, path: filepath.Join(dir, "sock"), log: &rig.Screen{}}
	l, err := net.Listen("unix", w.path)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &Server{Listener: l, Handle: handle, Log: slog.New(slog.NewTextHandler(w.log, nil))}
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(20 * time.Second):
			t.Error("Run did not return")
		}
	})
	t.Cleanup(w.stop)
	return w
}

func (w world) dial() net.Conn {
	w.t.Helper()
	conn, err := net.Dial("unix", w.path)
	if err != nil {
		w.t.Fatal(err)
	}
	return conn
}

var echo = Request{App: "blog", Argv: []string{"cat", "a b", "\xff\n", ""}, By: "alice"}

func TestStreams(t *testing.T) {
	sent := make([]byte, 3<<20) // far more than the window
	rand.New(rand.NewSource(1)).Read(sent)
	w := serve(t, func(_ context.Context, s Session) (int, error) {
		fmt.Fprintf(s.Err, "%s %q %s %v %v", s.App, s.Argv, s.By, s.Detach, s.Terminal)
		_, err := io.Copy(s.Out, s.In)
		return 3, err
	})
	var out, errs bytes.Buffer
	status, err := Run(t.Context(), w.dial(), echo, Streams{
		In:  bytes.NewReader(sent),
		Out: &out,
		Err: &errs,
	})
	if status != 3 || err != nil || !bytes.Equal(out.Bytes(), sent) {
		t.Errorf("status %d, err = %v, %d bytes of output", status, err, out.Len())
	}
	if want := `blog ["cat" "a b" "\xff\n" ""] alice false <nil>`; errs.String() != want {
		t.Errorf("standard error is %s; want %s", errs.String(), want)
	}
}

// The client gets a fault and its status although it has sent more input than was read.
func TestFault(t *testing.T) {
	w := serve(t, func(context.Context, Session) (int, error) {
		return 127,
			errors.New("run: x: not found")
	})
	for range 20 {
		status, err := Run(t.Context(), w.dial(), echo, Streams{
			In: bytes.NewReader(make([]byte, 1<<20)),
		})
		if status != 127 || rig.Message(err) != "run: x: not found" {
			t.Fatalf("Run = %d, %v", status, err)
		}
	}
}

func TestEvents(t *testing.T) {
	w := serve(t, func(_ context.Context, s Session) (int, error) {
		fmt.Fprintln(s.Out, s.Terminal.Type, s.Terminal.Size, s.Detach)
		for {
			select {
			case size := <-s.Terminal.Resized:
				fmt.Fprintln(s.Out, "size", size)
			case sig := <-s.Signals:
				fmt.Fprintln(s.Out, "signal", sig)
				return 128 + int(sig), nil
			}
		}
	})
	out, sizes, signals := &rig.Screen{}, terminal.NewSizes(), make(chan syscall.Signal, 1)
	req := Request{App: "blog", Argv: []string{"sh"}, Detach: true, Terminal: &terminal.Terminal{
		Type: "xterm", Size: terminal.Size{Columns: 100, Rows: 30}, Resized: sizes}}
	silent, _ := io.Pipe()
	go func() {
		rig.Eventually(t, "it began", func() bool { return out.String() != "" })
		sizes.Put(terminal.Size{Columns: 1000, Rows: 2})
		rig.Eventually(t, "it has the size",
			func() bool { return strings.Contains(out.String(), "size") })
		signals <- syscall.SIGTERM
	}()
	status, err := Run(t.Context(), w.dial(), req, Streams{In: silent, Out: out, Signals: signals})
	if status != 143 || err != nil ||
		out.String() != "xterm {100 30} true\nsize {1000 2}\nsignal terminated\n" {
		t.Errorf("status %d, err = %v, output %q", status, err, out)
	}
}

// A client that hangs up ends the session, even with unread input, and without io.EOF.
func TestHangUp(t *testing.T) {
	ended := make(chan error, 1)
	w := serve(t, func(ctx context.Context, s Session) (int, error) {
		fmt.Fprintln(s.Out, "up")
		<-ctx.Done()
		_, err := io.Copy(io.Discard, s.In)
		ended <- err
		return 1, nil
	})
	ctx, leave := context.WithCancel(t.Context())
	out := &rig.Screen{}
	go func() {
		rig.Eventually(t, "it began", func() bool { return out.String() != "" })
		leave()
	}()
	if _, err := Run(ctx, w.dial(), echo, Streams{In: endless{},
		Out: out}); err != context.Canceled {
		t.Error(err)
	}
	if err := <-ended; err != io.ErrUnexpectedEOF {
		t.Errorf("the input ended with %v", err)
	}
}

type endless struct{}

func (endless) Read(p []byte) (int, error) { return len(p), nil }

// Losing the connection does not end the input normally.
func TestInputIsLost(t *testing.T) {
	got := make(chan error, 1)
	w := serve(t, func(_ context.Context, s Session) (int, error) {
		_, err := io.ReadAll(s.In)
		got <- err
		return 0, nil
	})
	ctx, lose := context.WithCancel(t.Context())
	Run(ctx, w.dial(), echo, Streams{
		In: readerFunc(func([]byte) (int, error) { lose(); return 0, io.EOF }),
	})
	if err := <-got; err != io.ErrUnexpectedEOF {
		t.Error(err)
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

// Neither a client that does not read nor a command that does not read takes memory of the server.
func TestNobodyReads(t *testing.T) {
	w := serve(t, func(ctx context.Context, s Session) (int, error) {
		go func() {
			for {
				if _, err := s.Out.Write(make([]byte, 32<<10)); err != nil {
					return
				}
			}
		}()
		<-ctx.Done()
		return 0, nil
	})
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	conn := w.dial()
	defer conn.Close()
	if err := writeRequest(conn, echo); err != nil {
		t.Fatal(err)
	}
	sent := 0
	for conn.SetWriteDeadline(time.Now().Add(10 * time.Second)); sent < window; sent += 1 << 10 {
		if err := frame.Write(conn, frameIn, make([]byte, 1<<10)); err != nil {
			t.Fatal(err)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if grown := int64(after.HeapAlloc) - int64(before.HeapAlloc); grown > 4*window {
		t.Errorf("memory grew by %d KiB", grown>>10)
	}
	frame.Write(conn, frameIn, []byte("one more"))
	rig.Eventually(t, "who sends more is put out",
		func() bool { return strings.Contains(w.log.String(), errOverrun.Error()) })
}

// Stopping the server ends the sessions, and a client that does not read does not delay it.
func TestServerStops(t *testing.T) {
	up := make(chan bool)
	w := serve(t, func(ctx context.Context, s Session) (int, error) {
		up <- true
		<-ctx.Done()
		for range 100 {
			s.Out.Write(make([]byte, 64<<10))
		}
		return 1, errors.New("the server is stopping")
	})
	deaf := w.dial()
	defer deaf.Close()
	if err := writeRequest(deaf, echo); err != nil {
		t.Fatal(err)
	}
	<-up
	result := make(chan error, 1)
	go func() {
		_, err := Run(t.Context(), w.dial(), echo, Streams{Out: io.Discard})
		result <- err
	}()
	<-up
	w.stop()
	if err := <-result; rig.Message(err) != "the server is stopping" {
		t.Error(err)
	}
}

func TestServerDies(t *testing.T) {
	client, server := net.Pipe()
	go func() {
		readRequest(server)
		server.Close()
	}()
	if status, err := Run(t.Context(), client, echo, Streams{Out: io.Discard}); status != 1 ||
		err != ErrStopped {
		t.Errorf("Run = %d, %v", status, err)
	}
}

func TestPanic(t *testing.T) {
	w := serve(t, func(context.Context, Session) (int, error) { panic("oh") })
	if status, err := Run(t.Context(), w.dial(), echo, Streams{Out: io.Discard}); status != 1 ||
		rig.Message(err) != "internal error, see the server's log" {
		t.Errorf("Run = %d, %v", status, err)
	}
	rig.WantIn(t, "log", w.log.String(), "panic", "err=oh")
}

func TestCommandTooLong(t *testing.T) {
	for _, argv := range [][]string{
		{strings.Repeat("x", frame.Max+1)},
		slices.Repeat([]string{strings.Repeat("x", 1<<10)}, 1025),
	} {
		if err := writeRequest(io.Discard, Request{Argv: argv}); err == nil ||
			!strings.Contains(err.Error(), "too long") {
			t.Error(err)
		}
	}
}

// FuzzSession checks that the server keeps to its bounds, whatever a client sends.
func FuzzSession(f *testing.F) {
	var seed bytes.Buffer
	writeRequest(&seed, Request{
		App:      "blog",
		Argv:     []string{"sh", "-c", "x"},
		Terminal: &terminal.Terminal{Type: "xterm"},
	})
	frame.Write(&seed, frameIn, []byte("input"))
	frame.Write(&seed, frameSize, sizeFrame(terminal.Size{Columns: 80, Rows: 24}))
	frame.Write(&seed, frameSignal, []byte{15})
	frame.Write(&seed, frameInEnd, nil)
	f.Add(seed.Bytes())
	f.Add([]byte("q\x00\x00\x00\x02{}"))
	f.Add([]byte("a\x00\x00\x00\x01xq\x00\x00\x00\x02{}s\x00\x00\x00\x01\x13"))
	f.Fuzz(func(t *testing.T, in []byte) {
		r := bytes.NewReader(in)
		req, err := readRequest(r)
		if err != nil {
			return
		}
		if len(req.Argv) == 0 || req.Terminal != nil && req.Terminal.Type == "" {
			t.Errorf("bad request: %+v", req)
		}
		e := newEvents(io.Discard)
		e.receive(r)
		if e.in.buffer.Len() > window || len(e.sizes) > 1 {
			t.Errorf("the inbox has %d bytes", e.in.buffer.Len())
		}
		for len(e.signals) > 0 {
			if _, ok := parseSignal([]byte{byte(<-e.signals)}); !ok {
				t.Error("got a signal that must not be passed")
			}
		}
	})
}
