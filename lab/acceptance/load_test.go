package acceptance

import (
	"fmt"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// load is a visitor who sends requests steadily.
type load struct {
	quit, done chan struct{}
	stopped    bool
	requests   int
	failures   []string
}

// load start HOST starts a visitor who sends 50 requests a second. load stop stops it and fails if
// any request failed.
func cmdLoad(ts *testscript.TestScript, neg bool, args []string) {
	s := sessionOf(ts)
	switch {
	case len(args) == 2 && args[0] == "start":
		s.load = &load{quit: make(chan struct{}), done: make(chan struct{})}
		go s.load.run(ts, args[1])
		ts.Defer(s.load.stop)
	case len(args) == 1 && args[0] == "stop" && s.load != nil:
		s.load.stop()
		ts.Logf("%d requests, %d failed", s.load.requests, len(s.load.failures))
		if s.load.requests == 0 || len(s.load.failures) > 0 {
			ts.Fatalf("%d of %d requests failed: %q...", len(s.load.failures), s.load.requests,
				s.load.failures[:min(5, len(s.load.failures))])
		}
	default:
		ts.Fatalf("usage: load start HOST | load stop")
	}
}

func (l *load) run(ts *testscript.TestScript, host string) {
	defer close(l.done)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-l.quit:
			return
		case <-tick.C:
		}
		l.requests++
		if code, body, err := request(ts, host); err != nil || code != 200 {
			l.failures = append(l.failures, fmt.Sprint(code, " ", err, " ", body))
		}
	}
}

func (l *load) stop() {
	if !l.stopped {
		close(l.quit)
		l.stopped = true
	}
	<-l.done
}
