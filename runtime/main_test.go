package runtime

import (
	"os"
	"testing"
	"time"

	"paas/engine/local/child"
)

// The test binary plays the paas binary too: the guard.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "guard" {
		child.GuardMain(os.Stdin, os.Stdout, os.Args[2])
		return
	}
	time.Local = time.UTC // the default time zone of cron entries
	os.Exit(m.Run())
}

// SetClock sets the runtime's wall clock to at. It goes on from there.
func (rt *Runtime) SetClock(at time.Time) {
	began := time.Now()
	rt.now = func() time.Time { return at.Add(time.Since(began)) }
}
