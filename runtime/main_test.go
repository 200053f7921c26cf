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
	time.Local = time.UTC // by which entries of cron go that name no other
	os.Exit(m.Run())
}

// SetClock puts the runtime's clock on the wall to at, whence it goes on.
func (rt *Runtime) SetClock(at time.Time) {
	began := time.Now()
	rt.now = func() time.Time { return at.Add(time.Since(began)) }
}
