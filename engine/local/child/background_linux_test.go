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

// A background command and what it starts have a low priority for processors and disks. A later
// command has not.
func TestBackground(t *testing.T) {
	k := newKeeper(t)
	const show = `sh -c 'cut -d" " -f19 /proc/$$/stat; ionice -p $$'; `
	rig.Need(t, "ionice")
	own := nice.Own()
	var out, plain rig.Screen
	in, begin := io.Pipe()
	p := started(t, k, "read begin; "+show+show,
		func(c *Command) { c.Background, c.In, c.Out = true, in, &out })
	begin.Write([]byte{'\n'})
	<-p.Done()
	low := fmt.Sprintf("%d\nbest-effort: prio 7\n", min(nicest, own+backgroundNice))
	if out.String() != low+low || p.Err() != nil {
		t.Errorf("printed %q, err = %v", out.String(), p.Err())
	}
	<-started(t, k, show, func(c *Command) { c.Out = &plain }).Done()
	if got := plain.String(); !strings.HasPrefix(got, fmt.Sprintf("%d\nnone", own)) {
		t.Errorf("the later command printed %q", got)
	}
}

// If the scheduler groups processes by session, nice counts only within the session, so the session
// itself must be nice.
func TestBackgroundAutogroup(t *testing.T) {
	if on, err := os.ReadFile("/proc/sys/kernel/sched_autogroup_enabled"); err != nil ||
		string(on) != "1\n" {
		t.Skip("SKIP: this kernel does not group by session")
	}
	k := newKeeper(t)
	p := started(t, k, "sleep 1000", func(c *Command) { c.Background = true })
	rig.Eventually(t, "the session is lowered", func() bool {
		group, _ := os.ReadFile(procPath(p.PID(), "autogroup"))
		low := min(nicest, nice.Own()+backgroundNice)
		return strings.HasSuffix(string(group), fmt.Sprintf(" nice %d\n", low))
	})
}
