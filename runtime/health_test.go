package runtime

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

func TestParseCheck(t *testing.T) {
	for text, want := range map[string]Check{
		`{}`: {},
		`{"healthchecks": {"worker": [{"path": "/w"}]}}`:                      {},
		`{"healthchecks": {"web": [{"type": "startup", "listening": true}]}}`: {},
		"\ufeff{ // a note\n\"healthchecks\": {\"web\": [{\"type\": \"liveness\", \"path\": \"/live\"}, " +
			`{"type": "startup", "path": "/health", "timeout": 2.5, "attempts": 7, "wait": 1, "content": "ok"},],},}`: {
			Path: "/health", Timeout: 2500 * time.Millisecond, Attempts: 7, Wait: time.Second, Content: "ok"},
	} {
		if got, err := parseCheck([]byte(text)); got != want || err != nil {
			t.Errorf("%s: %+v, %v", text, got, err)
		}
	}
	web := func(check string) string { return `{"healthchecks": {"web": [` + check + `]}}` }
	for text, want := range map[string]string{
		`{`:                                      "app.json: ",
		`[]`:                                     "app.json: ",
		web(`{"path": "health"}`):                "must begin with /",
		web(`{"path": "/a\r\nHost:"}`):           "must begin with /",
		web(`{"command": ["true"]}`):             "a command is not supported",
		web(`{"path": "/a"}, {"path": "/b"}`):    "not several",
		web(`{"path": "/a", "attempts": -1}`):    "attempts -1",
		web(`{"path": "/a", "timeout": -1}`):     "-1 seconds",
		web(`{"path": "/a", "timeout": "soon"}`): "app.json: ",
		web(`{"path": "/a", "wait": 1e300}`):     "1e300 seconds",
	} {
		if got, err := parseCheck([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %+v, %v; want %q", text, got, err, want)
		}
	}
	if check, err := ReadCheck(tree(t, map[string]string{"app.json": web(`{"path": "/up"}`)})); check.Path != "/up" || err != nil {
		t.Errorf("%+v, %v", check, err)
	}
	if check, err := ReadCheck(t.TempDir()); check != (Check{}) || err != nil {
		t.Errorf("%+v, %v", check, err)
	}
}

func TestAwaitHealthyAnswers(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "localhost" {
			t.Errorf("Host %s", r.Host)
		}
		switch r.URL.Path {
		case "/ok":
			fmt.Fprint(w, "all is well")
		case "/moved":
			http.Redirect(w, r, "http://elsewhere.invalid/", http.StatusFound)
		case "/slow":
			<-r.Context().Done()
		case "/third":
			if asked.Add(1) < 3 {
				w.WriteHeader(503)
			}
		default:
			w.WriteHeader(500)
		}
	}))
	defer server.Close()
	short := 20 * time.Millisecond
	for _, test := range []struct {
		check Check
		want  string
	}{
		{Check{}, "<nil>"},
		{Check{Path: "/ok"}, "<nil>"},
		{Check{Path: "/ok", Content: "well"}, "<nil>"},
		{Check{Path: "/moved"}, "<nil>"},
		{Check{Path: "/third"}, "<nil>"},
		{Check{Path: "/health", Attempts: 2, Wait: short}, "GET /health answered 500, for "},
		{Check{Path: "/ok", Content: "ill", Attempts: 1, Wait: short}, `GET /ok answered 200, without "ill" in it, for `},
		{Check{Path: "/slow", Attempts: 2, Wait: short, Timeout: short}, "GET /slow did not answer within 20ms, for "},
	} {
		err := AwaitHealthy(t.Context(), server.Listener.Addr().String(), test.check, nil)
		if !strings.HasPrefix(message(err), test.want) {
			t.Errorf("%+v: %v", test.check, err)
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("the pusher left"))
	if err := AwaitHealthy(ctx, "127.0.0.1:1", Check{}, nil); message(err) != "the pusher left" {
		t.Error(err)
	}
}

const listener = `require("http").createServer((q, a) => a.end("hello")).listen(`

func needNode(t *testing.T) {
	t.Helper()
	for _, tool := range []string{"node", "npm"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("NOT TESTED: %v", err)
		}
	}
}

func TestAwaitRealProcess(t *testing.T) {
	needNode(t)
	l := newLocal(t)
	dir := tree(t, map[string]string{
		"server.js": listener + `process.env.PORT)`,
		"wrong.js":  listener + `0, "127.0.0.1", function () { console.log("port", this.address().port) })`,
		"six.js":    listener + `process.env.PORT, "::1")`,
	})
	p := begin(t, l, Spec{Type: "web", Tree: dir}, "node server.js")
	if err := (Check{Path: "/"}).Await(t.Context(), p); err != nil {
		t.Fatal(err)
	}

	out := &screen{}
	p = begin(t, l, Spec{Type: "web", Tree: dir, Out: out}, "node wrong.js")
	eventually(t, "it listens", func() bool { return strings.HasPrefix(out.String(), "port ") })
	_, port, _ := net.SplitHostPort(p.Addr())
	err := Check{Boot: 20 * time.Millisecond}.Await(t.Context(), p)
	want := fmt.Sprintf("web did not listen on $PORT (%s) within 20ms; it listens on %s: use the PORT environment variable",
		port, strings.TrimSpace(out.String()[5:]))
	if message(err) != want {
		t.Errorf("%v\nwant %s", err, want)
	}

	p = begin(t, l, Spec{Type: "web", Tree: dir}, "node six.js")
	err = Check{Boot: 2 * time.Second}.Await(t.Context(), p)
	wantIn(t, "::1", message(err), "; it listens on [::1]:", " alone: listen on 127.0.0.1 or 0.0.0.0")
}

func TestAwaitEnds(t *testing.T) {
	l := newLocal(t)
	for line, want := range map[string]string{
		"exit 1": "web: exit status 1",
		"true":   "web: ended, with status 0, before it listened on $PORT",
	} {
		began := time.Now()
		err := Check{}.Await(t.Context(), begin(t, l, Spec{Type: "web"}, line))
		if message(err) != want || time.Since(began) > 10*time.Second {
			t.Errorf("%s: %v", line, err)
		}
	}
	if err := (Check{}).Await(t.Context(), begin(t, l, Spec{}, "sleep 1000")); err != nil {
		t.Error(err)
	}
	p := begin(t, l, Spec{Type: "web"}, "sleep 1000")
	if err := (Check{Boot: 10 * time.Millisecond}).Await(t.Context(), p); !strings.HasSuffix(message(err), "within 10ms") {
		t.Error(err)
	}
}
