package main

import (
	"log/slog"
	"math"
	"os"
	"runtime/debug"
	"testing"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// The least of what limits the memory counts, and a control group may have no limit.
func TestMemory(t *testing.T) {
	none := func() (uint64, error) { return 0, memlimit.ErrNoLimit }
	for _, c := range []struct {
		group, machine memlimit.Provider
		want           int64
	}{
		{memlimit.Limit(1 << 30), memlimit.Limit(4 << 30), 1 << 30},
		{memlimit.Limit(7 << 60), memlimit.Limit(4 << 30), 4 << 30}, // version 1 without a limit
		{none, memlimit.Limit(4 << 30), 4 << 30},
		{memlimit.Limit(1 << 30), none, 1 << 30},
		{none, none, 0},
	} {
		if got, err := memory(c.group, c.machine); got != c.want || (err == nil) != (c.want > 0) {
			t.Errorf("memory is %d, %v; want %d", got, err, c.want)
		}
	}
}

// A server has a limit, unless somebody has set one.
func TestLimitMemory(t *testing.T) {
	was := debug.SetMemoryLimit(-1)
	t.Cleanup(func() { debug.SetMemoryLimit(was) })
	debug.SetMemoryLimit(math.MaxInt64)
	t.Setenv("GOMEMLIMIT", "1GiB") // as the runtime has read it at its start
	limitMemory(slog.New(slog.DiscardHandler))
	if got := debug.SetMemoryLimit(-1); got != math.MaxInt64 {
		t.Errorf("in spite of GOMEMLIMIT the limit is %d", got)
	}
	os.Unsetenv("GOMEMLIMIT")
	limitMemory(slog.New(slog.DiscardHandler))
	if got := debug.SetMemoryLimit(-1); got < 64<<20 || got > 1<<40 {
		t.Errorf("the limit is %d", got)
	}
}
