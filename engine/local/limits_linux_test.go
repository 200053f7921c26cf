package local

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"paas/engine/local/child"
	"paas/engine/local/limits"
	"paas/rig"
	"paas/volume"
)

// newLimiting returns an engine whose limits the kernel enforces.
func newLimiting(t *testing.T) *Local {
	t.Helper()
	l := newLocal(t)
	if all := (limits.Limits{Memory: 1, CPU: 1, Processes: 1}); l.limiter.Holds(all) != all {
		t.Skipf("SKIP: as root on a machine with control groups there would be more than: %s", l.Limiting())
	}
	return l
}

// group returns the folder of a process's control group; with version 1, the one of this
// controller.
func group(t *testing.T, pid int, controller string) string {
	t.Helper()
	content, err := os.ReadFile(fmt.Sprintf("/proc/%d/cgroup", pid))
	if err != nil {
		t.Fatal(err)
	}
	path := ""
	for line := range strings.Lines(string(content)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if at := "/sys/fs/cgroup/" + controller + parts[2]; strings.Contains(","+parts[1]+",", ","+controller+",") {
			return at
		}
		if parts[0] == "0" {
			path = "/sys/fs/cgroup" + parts[2]
		}
	}
	return path
}

func inside(t *testing.T, pid int) bool {
	return strings.Contains(group(t, pid, "memory"), "/paas-") && strings.Contains(group(t, pid, "pids"), "/paas-")
}

func TestLimitOfMemory(t *testing.T) {
	l := newLimiting(t)
	limited := spec{limits: volume.Limits{Memory: 32 << 20}}
	const want = "used 32 MiB of memory; the limit is 32 MiB"
	for line, why := range map[string]string{
		"tail /dev/zero":                        "signal: killed: " + want,
		`sh -c "tail /dev/zero; exit 3"`:        "exit status 3: " + want,
		`sh -c "setsid -w tail /dev/zero; :"`:   "<nil>",
		`sh -c "kill -KILL $$"`:                 "signal: killed",
		`sh -c "head -c 20000000 /dev/zero; :"`: "<nil>",
	} {
		p := begin(t, l, limited, line)
		<-p.Done()
		got := rig.Message(p.Exit().Err())
		// In a container the kernel's log is not readable. Then any kill may be blamed on the
		// whole server if another process runs out of memory at the same time.
		got = strings.TrimSuffix(got, ": the server ran out of memory, or a limit from outside it")
		if got != why {
			t.Errorf("%s: %s", line, got)
		}
	}
}

// A busy loop gets no more than its share of a core.
func TestLimitOfCPU(t *testing.T) {
	l := newLimiting(t)
	began := time.Now()
	p := begin(t, l, spec{limits: volume.Limits{CPU: 0.2}}, "sh -c 'while :; do :; done'")
	var used time.Duration
	// on a busy machine the kernel may never have to hold it back
	rig.Eventually(t, "it has used half a second", func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.PID()))
		if err != nil {
			t.Fatal(err)
		}
		fields := strings.Fields(string(stat[strings.LastIndex(string(stat), ")"):]))
		ticks, _ := strconv.Atoi(fields[12]) // utime; 100 a second
		used = time.Duration(ticks) * 10 * time.Millisecond
		return used >= time.Second/2
	})
	if took := time.Since(began); used > took/2 {
		t.Errorf("used %s of %s, where a fifth would be its share", used, took)
	}
}

// An app that forks without end stops at its limit, and does not harm others.
func TestLimitOfProcesses(t *testing.T) {
	l := newLimiting(t)
	out := &rig.Screen{}
	p := begin(t, l, spec{limits: volume.Limits{Processes: 10}, out: out},
		`sh -c "(while sleep 1000 & do :; done) & exec sleep 1000"`)
	rig.Eventually(t, "no more processes", func() bool { return strings.Contains(out.String(), "fork") })
	content, _ := os.ReadFile(filepath.Join(group(t, p.PID(), "pids"), "pids.current"))
	if n, _ := strconv.Atoi(strings.TrimSpace(string(content))); n < 5 || n > 10 {
		t.Errorf("%d processes", n)
	}
	if got := printed(t, l, spec{}, "echo alive"); got != "alive\n" {
		t.Errorf("another: %q", got)
	}
}

// The group contains all descendants of a process, and is removed when the process ends. All groups
// are removed when the server ends. The server itself is in none, no matter which of its threads
// starts a process.
func TestGroups(t *testing.T) {
	l := newLimiting(t)
	out := &rig.Screen{}
	limited := spec{limits: volume.Limits{Memory: 64 << 20, CPU: 1, Processes: 50}, out: out}
	p := begin(t, l, limited, `sh -c "setsid sh -c 'echo $$; exec sleep 1000' & wait"`)
	rig.Eventually(t, "a grandchild", func() bool { return strings.HasSuffix(out.String(), "\n") })
	grandchild, _ := strconv.Atoi(strings.TrimSpace(out.String()))
	for _, pid := range []int{p.PID(), grandchild} {
		if !inside(t, pid) {
			t.Errorf("process %d is in %s", pid, group(t, pid, "pids"))
		}
	}
	if one, other := group(t, p.PID(), "pids"), group(t, grandchild, "pids"); one != other {
		t.Errorf("the grandchild is in %s, not in %s", other, one)
	}
	if got := p.Limits(); got != limited.limits {
		t.Errorf("held to %v", got)
	}
	rig.Eventually(t, "no thread of the server is in it", func() bool {
		tasks, _ := filepath.Glob("/proc/self/task/*")
		return !slices.ContainsFunc(tasks, func(task string) bool {
			groups, _ := os.ReadFile(filepath.Join(task, "cgroup"))
			return strings.Contains(string(groups), "/paas-")
		})
	})
	free := begin(t, l, spec{}, "sleep 1000")
	if inside(t, free.PID()) {
		t.Error("what has no limits is in a group")
	}
	dirs := []string{group(t, p.PID(), "memory"), group(t, p.PID(), "cpu"), group(t, p.PID(), "pids")}
	p.Stop(0)
	another := begin(t, l, limited, "sleep 1000")
	dirs = append(dirs, filepath.Dir(dirs[0]))
	for _, dir := range dirs[:3] {
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s outlives its process", dir)
		}
	}
	l.limiter.Close() // with all groups in it
	<-another.Done()
	for _, dir := range dirs {
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s outlives the server", dir)
		}
	}
}

// A build's group has a low weight and so leaves the processors to others: nice counts only within
// a group.
func TestBuildGroupIsLow(t *testing.T) {
	l := newLimiting(t)
	l.BuildMemory = 64 << 20
	g, free, err := l.buildGroup()
	if err != nil {
		t.Fatal(err)
	}
	defer free()
	var out rig.Screen
	c := child.Command{Name: "step", Argv: []string{"sleep", "1000"}, Dir: "/", Env: map[string]string{"PATH": os.Getenv("PATH")}, Out: &out}
	c.Under = []child.Confinement{g}
	p, err := l.keeper.Start(c)
	if err != nil {
		t.Fatal(err)
	}
	defer p.Stop(0)
	dir := group(t, p.PID(), "cpu")
	shares, err := os.ReadFile(filepath.Join(dir, "cpu.shares"))
	if weight, errTwo := os.ReadFile(filepath.Join(dir, "cpu.weight")); errTwo == nil { // version 2
		shares, err = append([]byte{'0'}, weight...), nil
	}
	if text := strings.TrimSpace(string(shares)); err != nil || text != "102" && text != "010" {
		t.Errorf("%q, %v", text, err)
	}
}

// A process that has not begun can be moved into a group. Sandboxes need it: another program starts
// their processes.
func TestTake(t *testing.T) {
	l := newLimiting(t)
	g, err := l.limiter.Group("taken", limits.Limits{Memory: 64 << 20, CPU: 1, Processes: 50})
	if err != nil {
		t.Fatal(err)
	}
	defer g.Close()
	p := begin(t, l, spec{}, "sleep 1000")
	if inside(t, p.PID()) {
		t.Fatal("it is in a group already")
	}
	if err := g.Take(p.PID()); err != nil || !inside(t, p.PID()) {
		t.Errorf("%v: in %s", err, group(t, p.PID(), "pids"))
	}
	p.Stop(0)
}

// nothing is the limiter of a machine without control groups.
type nothing struct{ limits.Limiter }

func (nothing) Holds(limits.Limits) limits.Limits { return limits.Limits{} }
func (nothing) Close() error                      { return nil }

// Without control groups memory is limited by polling, and the engine reports that the other limits
// are not enforced.
func TestLimitsWithoutGroups(t *testing.T) {
	l := newLocal(t)
	l.limiter.Close()
	l.limiter = nothing{}
	if got := l.Limiting(); got != "memory limits by polling; no cpu or process limits" {
		t.Error(got)
	}
	p := begin(t, l, spec{limits: volume.Limits{Memory: 32 << 20, CPU: 0.1, Processes: 5}},
		`sh -c "(head -c 60000000 /dev/zero; sleep 1000) | tail -c 60000000"`)
	if got := p.Limits(); got != (volume.Limits{Memory: 32 << 20}) {
		t.Errorf("held to %v", got)
	}
	<-p.Done()
	rig.WantIn(t, "end", rig.Message(p.Exit().Err()), "MiB of memory; the limit is 32 MiB")
}
