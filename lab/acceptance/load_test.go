package acceptance

import (
	"fmt"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// load is a visitor who asks again and again.
type load struct {
	quit, done chan struct{}
	stopped    bool
	asked      int
	failed     []string
}

// load start HOST | load stop: a visitor who asks 50 times a second; stop fails where one request did.
func cmdLoad(ts *testscript.TestScript, neg bool, args []string) {
	s := sessionOf(ts)
	switch {
	case len(args) == 2 && args[0] == "start":
		s.load = &load{quit: make(chan struct{}), done: make(chan struct{})}
		go s.load.run(ts, args[1])
		ts.Defer(s.load.stop)
	case len(args) == 1 && args[0] == "stop" && s.load != nil:
		s.load.stop()
		ts.Logf("%d requests, %d failed", s.load.asked, len(s.load.failed))
		if s.load.asked == 0 || len(s.load.failed) > 0 {
			ts.Fatalf("%d of %d requests failed: %q...", len(s.load.failed), s.load.asked, s.load.failed[:min(5, len(s.load.failed))])
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
		l.asked++
		if code, body, err := request(ts, host); err != nil || code != 200 {
			l.failed = append(l.failed, fmt.Sprint(code, " ", err, " ", body))
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
