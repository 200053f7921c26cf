package child

import (
	"context"
	"errors"
	"testing"
	"time"

	"paas/rig"
)

// hungry is a shell line that uses 30 MB of memory and prints when it does.
const hungry = `x=$(head -c 30000000 /dev/zero | tr '\0' x); echo full; sleep 1000; :`

func TestOveruseIsKilled(t *testing.T) {
	rig.Need(t, "head", "tr")
	k := newKeeper(t)
	for name, line := range map[string]string{
		"one process":                  hungry,
		"the rest of it is in a child": "(" + hungry + ") & wait",
		"of a session of its own": "setsid sh -c '" +
			`x=$(head -c 30000000 /dev/zero | tr "\0" x); sleep 1000; :` + "' & wait",
		"two that are small enough by turn": `for i in 1 2; do (x=$(head -c 13000000 /dev/zero | tr '\0' x); sleep 1000; :) & done; wait`,
	} {
		c := toRun(line, nil, &rig.Screen{})
		c.MaxMemory = 20 << 20
		ctx, stop := context.WithTimeout(t.Context(), 15*time.Second)
		err := k.Run(ctx, c)
		stop()
		var over Overuse
		if !errors.As(err, &over) || over.Used <= c.MaxMemory || over.Max != c.MaxMemory {
			t.Errorf("%s: err = %v", name, err)
		}
	}
}

// Shared memory counts once: a shell that uses 30 MB and its ten children use 30 MB together.
func TestSharedMemoryCountsOnce(t *testing.T) {
	rig.Need(t, "head", "tr")
	k := newKeeper(t)
	out := &rig.Screen{}
	p := begin(t, k,
		`x=$(head -c 30000000 /dev/zero | tr '\0' x); for i in 1 2 3 4 5 6 7 8 9 10; do (echo up; read never < /dev/zero) & done; wait`, nil, out)
	rig.Eventually(t, "all are up",
		func() bool { return out.String() == "up\nup\nup\nup\nup\nup\nup\nup\nup\nup\n" })
	processes := p.processes().find()
	if used := memory(processes, 1); len(processes) < 11 || used < 30_000_000 ||
		used > 100_000_000 {
		t.Errorf("%d processes use %d bytes", len(processes), used)
	}
	if used := memory(processes, 1<<40); used < 300_000_000 {
		t.Errorf("resident memory: %d bytes", used)
	}
}

func TestBelowMemoryLimit(t *testing.T) {
	k := newKeeper(t)
	c := toRun("sleep 0.6; exit 3", nil, &rig.Screen{})
	c.MaxMemory = 20 << 20
	if err := k.Run(t.Context(), c); rig.Message(err) != "exit status 3" {
		t.Errorf("err = %v, want an Overuse", err)
	}
}
