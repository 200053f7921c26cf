package acceptance

import (
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"paas/rig/visitor"
)

// load start HOST starts a visitor who sends 50 requests a second. load stop stops it and fails if
// any request failed.
func cmdLoad(ts *testscript.TestScript, neg bool, args []string) {
	s := sessionOf(ts)
	switch {
	case len(args) == 2 && args[0] == "start":
		s.load = visitor.Start(20*time.Millisecond, func() (int, string, error) {
			return request(ts, args[1])
		})
		ts.Defer(s.load.Stop)
	case len(args) == 1 && args[0] == "stop" && s.load != nil:
		s.load.Stop()
		ts.Logf("%d requests, %d failed", s.load.Requests, len(s.load.Failures))
		if s.load.Requests == 0 || len(s.load.Failures) > 0 {
			ts.Fatalf("%d of %d requests failed: %q...", len(s.load.Failures), s.load.Requests,
				s.load.Failures[:min(5, len(s.load.Failures))])
		}
	default:
		ts.Fatalf("usage: load start HOST | load stop")
	}
}
