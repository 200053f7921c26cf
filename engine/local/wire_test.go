package local

import (
	"io"
	"log/slog"
	"net"
	"os"
	"runtime"
	"sync"
	"syscall"
	"testing"

	"paas/engine"
	"paas/engine/enginetest"
	"paas/engine/local/child"
	"paas/engine/wire"
	"paas/rig"
)

// socketPair returns the two ends of a connection.
func socketPair(t testing.TB) (here, there *net.UnixConn) {
	t.Helper()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	var ends [2]*net.UnixConn
	for i, fd := range fds {
		syscall.CloseOnExec(fd)
		f := os.NewFile(uintptr(fd), "pair")
		conn, err := net.FileConn(f)
		if err != nil {
			t.Fatal(err)
		}
		f.Close()
		ends[i] = conn.(*net.UnixConn)
		t.Cleanup(func() { conn.Close() })
	}
	return ends[0], ends[1]
}

// connect serves an open engine, and returns its client, which is not open yet.
func connect(t testing.TB, l *Local) *wire.Client {
	here, there := socketPair(t)
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := wire.Serve(here, l, slog.New(slog.DiscardHandler)); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		there.Close()
		serving.Wait()
	})
	c := &wire.Client{Socket: there}
	c.Builder = &Local{
		Root: l.Root, Self: l.Self, Layout: l.Layout, Confined: l.Confined, Log: l.Log,
		Beside: &Beside{Guard: c.Guard},
	}
	return c
}

// TestSuiteOverWire runs the suite on an engine that another end of a socket serves, with builds
// beside it.
func TestSuiteOverWire(t *testing.T) {
	rig.Need(t, "node")
	enginetest.Run(t, func(t *testing.T) enginetest.Suite {
		dir := rig.Tree(t, suiteTree)
		l := unopened(t)
		l.Layout = suiteLayout(dir)
		open(t, l)
		return enginetest.Suite{
			Engine: connect(t, l), Next: func() engine.Engine { return connect(t, l) },
			Image: engine.Image{App: "blog", Build: dir}, Serve: []string{"node", "server.js"},
			NoListening: runtime.GOOS != "linux", NoMemoryLimit: !child.CapsMemory,
		}
	})
}

// BenchmarkStart starts a process that ends at once, and waits for its end.
func BenchmarkStart(b *testing.B) {
	l := unopened(b)
	open(b, l)
	c := connect(b, l)
	if err := c.Open(); err != nil {
		b.Fatal(err)
	}
	defer c.Close()
	job := engine.Job{
		App: "blog", Release: 1, Type: "run", Image: engine.Image{App: "blog", Build: b.TempDir()},
		Argv: []string{"/bin/true"}, Env: map[string]string{"PATH": "/bin"}, Out: io.Discard,
	}
	for name, e := range map[string]engine.Engine{"here": l, "wire": c} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				p, err := e.Start(b.Context(), job)
				if err != nil {
					b.Fatal(err)
				}
				<-p.Done()
			}
		})
	}
}
