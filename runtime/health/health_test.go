package health

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"paas/rig"
)

// subject is a process that listens at addr and runs commands with run.
type subject struct {
	addr string
	done chan struct{}
	err  error
	run  func(argv []string) error
}

func (s subject) Name() string          { return "web" }
func (s subject) Addr() string          { return s.addr }
func (s subject) Done() <-chan struct{} { return s.done }
func (s subject) Err() error            { return s.err }

func (s subject) Dial(ctx context.Context, port int) (net.Conn, error) {
	addr := s.addr
	if port != 0 {
		addr = fmt.Sprintf("127.0.0.1:%d", port)
	}
	return new(net.Dialer).DialContext(ctx, "tcp", addr)
}

func (s subject) Run(ctx context.Context, argv []string) error {
	if s.run == nil {
		<-ctx.Done()
		return context.Cause(ctx)
	}
	return s.run(argv)
}

func TestAwaitAnswers(t *testing.T) {
	var asked atomic.Int32
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Host != "localhost" && r.Host != "blog.example.com" {
			t.Errorf("Host %s", r.Host)
		}
		switch r.URL.Path {
		case "/ok":
			fmt.Fprint(w, "all is well")
		case "/moved":
			http.Redirect(w, r, "http://elsewhere.invalid/", http.StatusFound)
		case "/slow":
			<-r.Context().Done()
		case "/header":
			if r.Header.Get("X-Probe") != "yes" || r.Host != "blog.example.com" {
				w.WriteHeader(400)
			}
		case "/third":
			if asked.Add(1) < 3 {
				w.WriteHeader(503)
			}
		default:
			w.WriteHeader(500)
		}
	}))
	defer server.Close()
	failing := func([]string) error { return errors.New("exit status 2") }
	short := 20 * time.Millisecond
	for _, test := range []struct {
		check Check
		run   func([]string) error
		want  string
	}{
		{Check{}, nil, "<nil>"},
		{Check{Path: "/ok"}, nil, "<nil>"},
		{Check{Path: "/ok", Content: "well"}, nil, "<nil>"},
		{Check{Path: "/moved"}, nil, "<nil>"},
		{Check{Path: "/third"}, nil, "<nil>"},
		{Check{Path: "/header", Headers: map[string]string{"X-Probe": "yes", "host": "blog.example.com"}},
			nil, "<nil>"},
		{Check{Path: "/health", Type: Liveness}, nil, "<nil>"}, // not a startup check
		{Check{Uptime: short}, nil, "<nil>"},
		{Check{Command: []string{"ok"}}, func(argv []string) error { return nil }, "<nil>"},
		{Check{Command: []string{"./probe", "x"}, Attempts: 2, Wait: short}, failing,
			"web: ./probe: exit status 2, for "},
		{Check{Command: []string{"./probe"}, Timeout: short, Attempts: 1, Wait: short}, nil,
			"web: ./probe: no end after 20ms, for "},
		{Check{Path: "/health", Attempts: 2, Wait: short}, nil, "web: GET /health answered 500, for "},
		{Check{Path: "/ok", Content: "ill", Attempts: 1, Wait: short}, nil,
			`web: GET /ok answered 200, without "ill" in it, for `},
		{Check{Path: "/slow", Attempts: 2, Wait: short, Timeout: short, Name: "is it up"}, nil,
			"web: is it up: GET /slow did not answer within 20ms, for "},
		{Check{Port: 1, Attempts: 1, Wait: short}, nil,
			"web: its port does not answer: connect: connection refused, for "},
	} {
		err := Await(t.Context(), subject{addr: server.Listener.Addr().String(), run: test.run},
			[]Check{test.check}, 0)
		if !strings.HasPrefix(rig.Message(err), test.want) {
			t.Errorf("%+v: %v", test.check, err)
		}
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("the pusher left"))
	if err := Await(ctx, subject{addr: "127.0.0.1:1"}, nil, 0); rig.Message(err) != "the pusher left" {
		t.Error(err)
	}
}

// If the process ends while it is awaited, the error is its exit.
func TestAwaitEnded(t *testing.T) {
	ended := make(chan struct{})
	close(ended)
	for want, s := range map[string]subject{
		"web: exit status 1":        {done: ended, err: errors.New("exit status 1")},
		"web: ended, with status 0": {done: ended},
	} {
		if err := Await(t.Context(), s, []Check{{Uptime: time.Hour}}, 0); rig.Message(err) != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if err := Await(t.Context(), subject{}, nil, 0); err != nil {
		t.Errorf("nothing is asked of it: %v", err)
	}
}

// A repeated check reports a failure once, after as many failed attempts as it allows, and its next
// success once.
func TestKeep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answers := []error{nil, os.ErrInvalid, nil, os.ErrInvalid, os.ErrInvalid, os.ErrInvalid, nil, nil}
		at := -1
		done := make(chan struct{})
		s := subject{done: done, run: func([]string) error {
			if at++; at == len(answers)-1 {
				close(done)
			}
			return answers[at]
		}}
		var said []string
		began := time.Now()
		Check{Type: Readiness, Command: []string{"probe"}, Attempts: 2, Wait: time.Minute,
			Delay: time.Hour}.Keep(t.Context(), s, func(err error) {
			said = append(said, fmt.Sprintf("%s %v", time.Since(began), err))
		})
		want := "1h4m0s readiness check: probe: invalid argument, 2 times; 1h6m0s <nil>"
		if got := strings.Join(said, "; "); got != want {
			t.Errorf("%s\nwant %s", got, want)
		}
	})
}

// listener is a subject whose listeners are known.
type listener struct {
	subject
	at []string
}

func (l listener) Listening() []string { return l.at }

// A process that answers visitors on another port than its own has made that its address. Debuggers
// and ports that a check names do not count.
func TestOtherPort(t *testing.T) {
	http200 := httptest.NewServer(http.NotFoundHandler())
	defer http200.Close()
	http400 := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
	}))
	defer http400.Close()
	silent, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	go func() {
		for {
			conn, err := silent.Accept()
			if err != nil {
				return
			}
			conn.Close()
		}
	}()
	port := func(addr string) string {
		_, port, _ := net.SplitHostPort(addr)
		return port
	}
	app := port(http200.Listener.Addr().String())
	number, _ := strconv.Atoi(app)
	for name, test := range map[string]struct {
		at     []string
		checks []Check
		want   bool
	}{
		"an app":              {[]string{app}, nil, true},
		"an app on localhost": {[]string{"::1:1"}, nil, true},
		"one interface":       {[]string{"10.0.0.1:5000"}, nil, true},
		"its own too":         {[]string{app, "5000"}, nil, false},
		"a check names it":    {[]string{app}, []Check{{Port: number}}, false},
		"a debugger of Node":  {[]string{port(http400.Listener.Addr().String())}, nil, false},
		"a debugger":          {[]string{port(silent.Addr().String())}, nil, false},
		"nothing":             {nil, nil, false},
	} {
		o := &otherPort{own: "5000", checks: test.checks}
		s := listener{subject{addr: "127.0.0.1:5000"}, test.at}
		if o.settled(t.Context(), s) {
			t.Errorf("%s: settled at once", name)
		}
		o.next = time.Time{}
		if !o.since.IsZero() {
			o.since = o.since.Add(-settleAfter)
		}
		if got := o.settled(t.Context(), s); got != test.want {
			t.Errorf("%s: settled is %v", name, got)
		}
	}
}
