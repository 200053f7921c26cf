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

	"paas/engine"
	"paas/engine/local/ports"
	"paas/rig"
	"paas/runtime/health"
)

// serveHere is a web process. It listens on $PORT and, if it is set, on $ALSO.
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

func (a asked) connects(port int) error {
	conn, err := a.Dial(context.Background(), port)
	if err == nil {
		conn.Close()
	}
	return err
}

// web runs serveHere as a web process, and waits until it is healthy.
func web(t *testing.T, l *Local, config map[string]string, checks ...health.Check) (asked, error) {
	t.Helper()
	all := map[string]string{"TEST_SERVE": "1"}
	for name, value := range config {
		all[name] = value
	}
	program, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	tree := rig.Tree(t, map[string]string{"bin/serve": string(program)}) // a folder that sandboxes show
	p := unit(t, l, spec{web: true, config: all, tree: tree}, "bin/serve")
	return p, p.await(0, checks...)
}

// A port belongs to one process at a time, while that runs.
func TestDialIsOfOneProcess(t *testing.T) {
	l := newLocal(t)
	p, err := web(t, l, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := p.connects(0); err != nil {
		t.Error(err)
	}
	another := p
	another.place.Unit.App = "shop"
	if err := another.connects(0); err == nil {
		t.Error("another app is connected to it")
	}
	before := p
	before.place.Start--
	if err := before.connects(0); rig.Message(err) != "web.1: the process has ended" {
		t.Errorf("the process before it: %v", err)
	}
	addr := p.Addr()
	l.Drop(t.Context(), p.place.Unit, 0)
	<-p.Done()
	other, err := net.Listen("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := p.connects(0); err == nil {
		t.Error("its process has ended, and another program is there")
	}
	_, text, _ := net.SplitHostPort(addr)
	port, _ := strconv.Atoi(text)
	if c := l.reserve(port, "blog"); c == nil {
		t.Error("still reserved")
	}
}

// A check with its own port connects only to the process, not to another program on that port.
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
	if !errors.Is(err, engine.ErrForeign) || !strings.Contains(rig.Message(err), "its port does not answer: ") {
		t.Errorf("another program has the port: %v", err)
	}
	check.Path = "/"
	if _, err = web(t, l, nil, check); !errors.Is(err, engine.ErrForeign) {
		t.Errorf("another program would answer: %v", err)
	}
	other.Close()
	if _, err := web(t, l, map[string]string{"ALSO": strconv.Itoa(foreign)}, health.Check{Port: foreign}); err != nil {
		t.Errorf("it listens there itself: %v", err)
	}
}

// A process gets the next port if another program listens on the first one, even if that was free a
// moment ago.
func TestTakesFreePort(t *testing.T) {
	l := newLocal(t)
	other, err := net.Listen("tcp", "0.0.0.0:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	tries := 0
	c, err := l.takePort("blog", func(port int) error {
		if tries++; tries < 3 {
			port = other.Addr().(*net.TCPAddr).Port // taken after it was chosen
		}
		return tryPort(port)
	})
	if err != nil || tries != 3 || len(l.ports) != 1 || l.ports[c.port] != c {
		t.Errorf("%v, after %d tries, %d ports reserved", err, tries, len(l.ports))
	}
}

// If another program takes the port before the process listens, the process gets another port. That
// does not count as a failure.
func TestTakenPort(t *testing.T) {
	needCheck(t)
	l := newLocal(t)
	p := unit(t, l, spec{web: true}, "sleep 1000")
	other, err := net.Listen("tcp", p.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	var now engine.Place
	rig.Eventually(t, "it is given another port", func() bool {
		err := p.connects(0)
		if places, _ := l.Places(t.Context(), "blog"); len(places) == 1 {
			now = places[0]
		}
		if now.Start == p.place.Start && err == nil {
			t.Error("connected to the other program")
		}
		return now.State == engine.Running && now.Start > p.place.Start
	})
	if now.Addr == p.Addr() || now.Restarts > 0 {
		t.Errorf("%+v", now)
	}
}

// If another program listens on the port of a process that has answered before, the process is
// ended. That counts as a failure.
func TestSharedPort(t *testing.T) {
	l := newLocal(t)
	p, err := web(t, l, nil)
	if err != nil {
		t.Fatal(err)
	}
	p.dialed(engine.ErrForeign)
	<-p.Done()
	if want := (engine.Exit{Reason: "another program listens on its port"}); p.Exit() != want {
		t.Errorf("%+v", p.Exit())
	}
}
