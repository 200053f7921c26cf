package health

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"paas/runtime/rig"
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
	if check, err := ReadCheck(rig.Tree(t, map[string]string{"app.json": web(`{"path": "/up"}`)})); check.Path != "/up" || err != nil {
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
		if !strings.HasPrefix(rig.Message(err), test.want) {
			t.Errorf("%+v: %v", test.check, err)
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("the pusher left"))
	if err := AwaitHealthy(ctx, "127.0.0.1:1", Check{}, nil); rig.Message(err) != "the pusher left" {
		t.Error(err)
	}
}
