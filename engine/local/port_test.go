package local

import (
	"context"
	"errors"
	"log"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"testing"

	"paas/engine/local/ports"
	"paas/rig"
	"paas/runtime"
	"paas/runtime/health"
	"paas/volume"
)

// serveHere is a web process: it listens on $PORT, and on $ALSO where that is set.
func serveHere() {
	for _, name := range []string{"ALSO", "PORT"} {
		if port := os.Getenv(name); port != "" {
			l, err := net.Listen("tcp", "127.0.0.1:"+port)
			if err != nil {
				log.Fatal(err)
			}
			go http.Serve(l, http.NotFoundHandler())
		}
	}
	select {}
}

func needCheck(t *testing.T) {
	t.Helper()
	if err := ports.Check(); err != nil {
		t.Skipf("SKIP: %v", err)
	}
}

func connects(t *testing.T, l *Local, app, addr string) error {
	t.Helper()
	conn, err := l.Dial(t.Context(), app, addr)
	if err == nil {
		conn.Close()
	}
	return err
}

// web starts serveHere as a web process, and waits until it is healthy.
func web(t *testing.T, l *Local, config map[string]string, checks ...health.Check) (runtime.Process, error) {
	t.Helper()
	all := map[string]string{"TEST_SERVE": "1"}
	for name, value := range config {
		all[name] = value
	}
	program, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	tree := rig.Tree(t, map[string]string{"bin/serve": string(program)}) // there it is seen from within a sandbox, too
	p := begin(t, l, runtime.Spec{Type: "web", Config: all, Tree: tree}, "bin/serve")
	return p, await(t, p, 0, checks...)
}

// A port belongs to one app, and to that only while its process has it.
func TestDialIsOfOneApp(t *testing.T) {
	l := newLocal(t)
	p, err := web(t, l, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := connects(t, l, "blog", p.Addr()); err != nil {
		t.Error(err)
	}
	if err := connects(t, l, "shop", p.Addr()); rig.Message(err) != p.Addr()+": the process there has ended" {
		t.Errorf("another app: %v", err)
	}
	p.Stop(0)
	other, err := net.Listen("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := connects(t, l, "blog", p.Addr()); err == nil {
		t.Error("its process has ended, and another program is there")
	}
	_, text, _ := net.SplitHostPort(p.Addr())
	port, _ := strconv.Atoi(text)
	if c := l.reserve(port, "blog"); c == nil {
		t.Error("still reserved")
	} else if err := connects(t, l, "blog", p.Addr()); err == nil {
		t.Error("nothing has been started there")
	}
}

// A check with a port of its own asks the process, not whoever listens there.
func TestCheckOfForeignPort(t *testing.T) {
	needCheck(t)
	l := newLocal(t)
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	foreign := other.Addr().(*net.TCPAddr).Port
	check := health.Check{Port: foreign, Attempts: 1, Wait: 1}
	_, err = web(t, l, nil, check)
	if !errors.Is(err, ports.ErrForeign) || !strings.Contains(rig.Message(err), "its port does not answer: ") {
		t.Errorf("another program has the port: %v", err)
	}
	check.Path = "/"
	if _, err = web(t, l, nil, check); !errors.Is(err, ports.ErrForeign) {
		t.Errorf("another program would answer: %v", err)
	}
	other.Close()
	if _, err := web(t, l, map[string]string{"ALSO": strconv.Itoa(foreign)}, health.Check{Port: foreign}); err != nil {
		t.Errorf("it listens there itself: %v", err)
	}
}

// A site takes the next port where somebody listens on the first, be it that this was free a moment before.
func TestSiteTakesFreePort(t *testing.T) {
	needCheck(t)
	l := newLocal(t)
	other, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	tries := 0
	c, err := l.takePort("blog", func(port int) error {
		if tries++; tries < 3 {
			port = other.Addr().(*net.TCPAddr).Port // taken since it was chosen
		}
		own, err := new(ports.Owner).Listen(loopback(port))
		if err == nil {
			own.Close()
		}
		return err
	})
	if err != nil || tries != 3 || len(l.ports) != 1 || l.ports[c.port] != c {
		t.Errorf("%v, after %d tries, %d ports reserved", err, tries, len(l.ports))
	}
	dir := rig.Tree(t, map[string]string{"index.html": "home"})
	p, err := l.Start(runtime.Spec{App: "blog", Type: "web", Tree: dir, Built: volume.Built{Static: "."}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Stop(0) })
	if err := connects(t, l, "blog", p.Addr()); err != nil {
		t.Error(err)
	}
	if conn, err := p.Dial(context.Background(), other.Addr().String()); !errors.Is(err, ports.ErrForeign) {
		t.Errorf("%v, %v", conn, err)
	}
}
