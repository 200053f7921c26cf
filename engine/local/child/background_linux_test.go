package child

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"paas/nice"
	"paas/rig"
)

// A command in the background is nice, to processors and disks, and so is what it starts; what is started
// after it is not.
func TestBackground(t *testing.T) {
	k := newKeeper(t)
	const show = `sh -c 'cut -d" " -f19 /proc/$$/stat; ionice -p $$'; `
	rig.Need(t, "ionice")
	own := nice.Own()
	var out, plain rig.Screen
	in, begin := io.Pipe()
	p := started(t, k, "read begin; "+show+show, func(c *Command) { c.Background, c.In, c.Out = true, in, &out })
	begin.Write([]byte{'\n'})
	<-p.Done()
	low := fmt.Sprintf("%d\nbest-effort: prio 7\n", min(nicest, own+backgroundNice))
	if out.String() != low+low || p.Err() != nil {
		t.Errorf("%q, %v", out.String(), p.Err())
	}
	<-started(t, k, show, func(c *Command) { c.Out = &plain }).Done()
	if got := plain.String(); !strings.HasPrefix(got, fmt.Sprintf("%d\nnone", own)) {
		t.Errorf("started after it: %q", got)
	}
}

// Where sessions are groups to the scheduler, the session is lowered: nice alone counts within it.
func TestBackgroundAutogroup(t *testing.T) {
	if on, err := os.ReadFile("/proc/sys/kernel/sched_autogroup_enabled"); err != nil || string(on) != "1\n" {
		t.Skip("SKIP: this kernel does not group by sessions")
	}
	k := newKeeper(t)
	p := started(t, k, "sleep 1000", func(c *Command) { c.Background = true })
	rig.Eventually(t, "the session is lowered", func() bool {
		group, _ := os.ReadFile(procPath(p.PID(), "autogroup"))
		return strings.HasSuffix(string(group), " nice 10\n")
	})
}
