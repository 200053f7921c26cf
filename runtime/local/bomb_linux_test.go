package local

import (
	"os"
	"runtime"
	"strings"
	"testing"

	paas "paas/runtime"
	"paas/runtime/confine"
	"paas/runtime/rig"
)

// An app that starts as many processes as its user may have leaves the server some: one that gets no thread more ends.
func TestForkBomb(t *testing.T) {
	rig.Need(t, "prlimit")
	user := 71777 // of whom nothing else runs: the kernel counts all of a user's processes
	for _, way := range []string{"all", "Landlock", "nothing"} {
		t.Run(way, func(t *testing.T) {
			rig.AsUser(t, user, []string{"prlimit", "--nproc=200:300", "env", "TEST_BOMB=" + way}, "^TestBombed$")
		})
		user++
	}
}

func TestBombed(t *testing.T) {
	way := os.Getenv("TEST_BOMB")
	if way == "" {
		t.Skip("SKIP: TestForkBomb runs it")
	}
	all := confine.Probe(t.TempDir(), rig.Self()...)
	force := map[string]confine.Force{"all": all, "Landlock": {Landlock: all.Landlock, Seccomp: all.Seccomp}}[way]
	l := &Local{Root: t.TempDir(), Self: rig.Self(), Confined: Confined{Force: force}}
	if err := l.Open(); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	out := &rig.Screen{}
	bomb := begin(t, l, paas.Spec{Out: out}, `sh -c "(while sleep 1000 & do :; done) & exec sleep 1000"`)
	rig.Eventually(t, "no more processes", func() bool { return strings.Contains(strings.ToLower(out.String()), "fork") })
	began, end := make(chan struct{}), make(chan struct{})
	defer close(end)
	for range 20 { // a server busy on so many threads
		go func() {
			runtime.LockOSThread()
			began <- struct{}{}
			<-end
		}()
	}
	for range 20 {
		<-began
	}
	if got := printed(t, l, paas.Spec{}, "echo alive"); got != "alive\n" {
		t.Errorf("another app: %q", got)
	}
	bomb.Stop(0)
}
