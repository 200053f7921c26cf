package local

import (
	"fmt"
	"io"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"

	"paas/engine"
	"paas/engine/enginetest"
	"paas/engine/local/child"
	"paas/engine/wire"
	"paas/rig"
)

// connect serves an open engine, and returns its client, which is not open yet.
func connect(t testing.TB, l *Local) *wire.Client {
	here, there := rig.Sockets(t)
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
		Beside: &Beside{Guard: c.Guard, Mind: c.Mind},
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

// What a build has started ends with its server, also what has left the session of the build.
func TestBuildEndsWithItsServer(t *testing.T) {
	dir := rig.Tree(t, suiteTree)
	l := unopened(t)
	l.Layout = suiteLayout(dir)
	open(t, l)
	c := connect(t, l)
	if err := c.Open(); err != nil {
		t.Fatal(err)
	}
	defer c.Builder.Close()
	var out rig.Screen
	built := make(chan error, 1)
	go func() {
		_, err := c.Build(t.Context(), engine.BuildJob{
			Image: engine.Image{App: "blog", Build: dir}, Out: &out,
			Config: map[string]string{"BUILD": `setsid sh -c 'echo orphan $$; sleep 1000; :' & sleep 1000`},
		})
		built <- err
	}()
	var pid int
	rig.Eventually(t, "the build has started it", func() bool {
		_, rest, found := strings.Cut(out.String(), "orphan ")
		_, err := fmt.Sscan(rest, &pid)
		return found && err == nil
	})
	c.Socket.Close() // as when the server is killed
	if err := <-built; err == nil {
		t.Error("the build goes on")
	}
	rig.Eventually(t, "it has ended", func() bool { return syscall.Kill(pid, 0) == syscall.ESRCH })
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
