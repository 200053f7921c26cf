package local

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"paas/engine"
	"paas/engine/keep"
	"paas/rig"
	"paas/runtime/health"
)

const listener = `require("http").createServer((q, a) => a.end("hello")).listen(`

// asked is a process of a unit that health checks can ask.
type asked struct {
	*process
	l     *Local
	place engine.Place
}

func (a asked) Name() string { return "web" }
func (a asked) Err() error   { return a.Exit().Err() }

func (a asked) Dial(ctx context.Context, port int) (net.Conn, error) {
	return a.l.Dial(ctx, a.place, port)
}

func (a asked) Listening() []string { return a.l.Listening(context.Background(), a.place) }

func (a asked) Run(context.Context, []string) error { return nil }

func (a asked) await(boot time.Duration, checks ...health.Check) error {
	return health.Await(context.Background(), a, checks, boot)
}

var copies atomic.Int32

// unit keeps a process with this command line running until the test ends.
func unit(t *testing.T, l *Local, s spec, line string) asked {
	t.Helper()
	o := s.order(t, line)
	u := engine.Unit{
		Name:    engine.UnitName{App: o.App, Release: o.Release, Type: o.Type, Copy: int(copies.Add(1))},
		Indexes: []int{1}, Image: o.Image, Argv: o.Argv, Env: o.Env, Listens: s.web, Grace: time.Second, Stable: time.Minute,
	}
	known := l.log
	l.Fleet.Log = func(app, name string) keep.Log {
		if s.out == nil {
			return known(app, name)
		}
		return noted{s.out}
	}
	if err := l.Want(t.Context(), u); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Drop(context.Background(), u.Name, 0) })
	return running(t, l, u)
}

// running waits for the unit's process.
func running(t *testing.T, l *Local, u engine.Unit) (a asked) {
	t.Helper()
	rig.Eventually(t, "it runs", func() bool {
		places, _ := l.Places(t.Context(), u.Name.App)
		for _, at := range places {
			if p, _, err := l.process(at); err == nil && at.Unit == u.Name {
				a = asked{p, l, at}
				return true
			}
		}
		return false
	})
	return a
}

// noted is a log that keeps only the output.
type noted struct{ io.Writer }

func (noted) Note(string, ...any) {}
func (noted) EndLine()            {}
func (noted) Close() error        { return nil }

func TestAwaitRealProcess(t *testing.T) {
	rig.Need(t, "node", "npm")
	l := newLocal(t)
	dir := rig.Tree(t, map[string]string{
		"server.js": listener + `process.env.PORT)`,
		"wrong.js":  listener + `0, "127.0.0.1", function () { console.log("port", this.address().port) })`,
		"six.js":    listener + `process.env.PORT, "::1")`,
	})
	p := unit(t, l, spec{web: true, tree: dir}, "node server.js")
	if err := p.await(0, health.Check{Path: "/"}); err != nil {
		t.Fatal(err)
	}

	out := &rig.Screen{}
	p = unit(t, l, spec{web: true, tree: dir, out: out}, "node wrong.js")
	rig.Eventually(t, "it listens", func() bool { return strings.HasPrefix(out.String(), "port ") })
	_, port, _ := net.SplitHostPort(p.Addr())
	err := p.await(20 * time.Millisecond)
	want := fmt.Sprintf("web did not listen on $PORT (%s) within 20ms; it listens on %s: use PORT, the port in the environment",
		port, strings.TrimSpace(out.String()[5:]))
	if rig.Message(err) != want {
		t.Errorf("%v\nwant %s", err, want)
	}

	p = unit(t, l, spec{web: true, tree: dir}, "node six.js")
	err = p.await(2 * time.Second)
	rig.WantIn(t, "::1", rig.Message(err), "; it listens on [::1]:", " alone: listen on 127.0.0.1 or 0.0.0.0")
}

func TestAwaitEnds(t *testing.T) {
	l := newLocal(t)
	for line, want := range map[string]string{
		"exit 1": "web: exit status 1",
		"true":   "web: ended, with status 0, before it listened on $PORT: it must stay in the foreground",
	} {
		began := time.Now()
		err := asked{begin(t, l, spec{web: true}, line), l, engine.Place{}}.await(0)
		if rig.Message(err) != want || time.Since(began) > 10*time.Second {
			t.Errorf("%s: %v", line, err)
		}
	}
	worker := asked{begin(t, l, spec{}, "sleep 1000"), l, engine.Place{}}
	if err := worker.await(0); err != nil {
		t.Error(err)
	}
	p := unit(t, l, spec{web: true}, "sleep 1000")
	if err := p.await(10 * time.Millisecond); !strings.HasSuffix(rig.Message(err), "within 10ms") {
		t.Error(err)
	}
}
