package local

import (
	"context"
	"fmt"
	"net"
	"paas/rig"
	"paas/runtime"
	"paas/runtime/health"
	"strings"
	"testing"
	"time"
)

const listener = `require("http").createServer((q, a) => a.end("hello")).listen(`

// asked is a process as its health checks see it.
type asked struct{ runtime.Process }

func (a asked) Name() string { return "web" }

func (a asked) Listening() []string {
	return a.Process.(interface{ Listening() []string }).Listening()
}

func (a asked) Run(context.Context, []string) error { return nil }

func await(t *testing.T, p runtime.Process, boot time.Duration, checks ...health.Check) error {
	t.Helper()
	return health.Await(t.Context(), asked{p}, checks, boot)
}

func TestAwaitRealProcess(t *testing.T) {
	rig.Need(t, "node", "npm")
	l := newLocal(t)
	dir := rig.Tree(t, map[string]string{
		"server.js": listener + `process.env.PORT)`,
		"wrong.js":  listener + `0, "127.0.0.1", function () { console.log("port", this.address().port) })`,
		"six.js":    listener + `process.env.PORT, "::1")`,
	})
	p := begin(t, l, runtime.Spec{Type: "web", Tree: dir}, "node server.js")
	if err := await(t, p, 0, health.Check{Path: "/"}); err != nil {
		t.Fatal(err)
	}

	out := &rig.Screen{}
	p = begin(t, l, runtime.Spec{Type: "web", Tree: dir, Out: out}, "node wrong.js")
	rig.Eventually(t, "it listens", func() bool { return strings.HasPrefix(out.String(), "port ") })
	_, port, _ := net.SplitHostPort(p.Addr())
	err := await(t, p, 20*time.Millisecond)
	want := fmt.Sprintf("web did not listen on $PORT (%s) within 20ms; it listens on %s: use the PORT environment variable",
		port, strings.TrimSpace(out.String()[5:]))
	if rig.Message(err) != want {
		t.Errorf("%v\nwant %s", err, want)
	}

	p = begin(t, l, runtime.Spec{Type: "web", Tree: dir}, "node six.js")
	err = await(t, p, 2*time.Second)
	rig.WantIn(t, "::1", rig.Message(err), "; it listens on [::1]:", " alone: listen on 127.0.0.1 or 0.0.0.0")
}

func TestAwaitEnds(t *testing.T) {
	l := newLocal(t)
	for line, want := range map[string]string{
		"exit 1": "web: exit status 1",
		"true":   "web: ended, with status 0, before it listened on $PORT: it must stay in the foreground",
	} {
		began := time.Now()
		err := await(t, begin(t, l, runtime.Spec{Type: "web"}, line), 0)
		if rig.Message(err) != want || time.Since(began) > 10*time.Second {
			t.Errorf("%s: %v", line, err)
		}
	}
	if err := await(t, begin(t, l, runtime.Spec{}, "sleep 1000"), 0); err != nil {
		t.Error(err)
	}
	p := begin(t, l, runtime.Spec{Type: "web"}, "sleep 1000")
	if err := await(t, p, 10*time.Millisecond); !strings.HasSuffix(rig.Message(err), "within 10ms") {
		t.Error(err)
	}
}
