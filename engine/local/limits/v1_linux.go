package limits

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"
)

// one is version 1: a tree for each controller, in each of which a group has a folder
// (cgroup-v1 in the kernel's documentation).
type one struct {
	trees []tree
	last  atomic.Int64 // number of the last group
}

// tree is one of version 1 in which groups can be made.
type tree struct {
	controllers []string // of those that are of use here
	folder      folder   // of this server's groups
	home        *os.File // the tasks of the group that this process is in
}

func (t tree) has(controller string) bool { return slices.Contains(t.controllers, controller) }

// period is that of which a processor's time is a share: the kernel's default, in microseconds.
const period = 100_000

// marks are files by which a controller of version 1 is known to be there and able to limit.
var marks = map[string]string{"memory": "memory.limit_in_bytes", "cpu": "cpu.cfs_quota_us", "pids": "pids.max"}

// openOne takes, in each tree, a folder below the group that this process is in, since what that is held to
// must hold for the apps too; where none can be made there, at the top. It is nil where there is none at all.
func openOne(all []hierarchy, name string) Limiter {
	l := &one{}
	for _, h := range all {
		if t, ok := openTree(h, name); ok {
			l.trees = append(l.trees, t)
		}
	}
	if len(l.trees) == 0 {
		return nil
	}
	return l
}

func openTree(h hierarchy, name string) (t tree, ok bool) {
	for c := range marks {
		if slices.Contains(h.controllers, c) {
			t.controllers = append(t.controllers, c)
		}
	}
	if h.two || len(t.controllers) == 0 {
		return t, false
	}
	for _, base := range []folder{folder(h.own), folder(h.top)} {
		f := folder(base.path(name))
		if f.empty(os.Remove) != nil || os.Mkdir(string(f), 0o755) != nil {
			continue
		}
		able := slices.DeleteFunc(slices.Clone(t.controllers), func(c string) bool { return !f.has(marks[c]) })
		if f.remove(os.Remove) != nil || len(able) == 0 { // removed: while nothing is limited there is nothing
			continue
		}
		home, err := os.OpenFile(filepath.Join(h.own, "tasks"), os.O_WRONLY, 0)
		return tree{able, f, home}, err == nil
	}
	return t, false
}

func (l *one) String() string { return "cgroup v1" }

func (l *one) Lowers() bool { return false }

func (l *one) holds(controller string) bool {
	return slices.ContainsFunc(l.trees, func(t tree) bool { return t.has(controller) })
}

func (l *one) Holds(want Limits) Limits { return masked(want, l.holds) }

// masked are those of the limits whose controller is there.
func masked(l Limits, there func(controller string) bool) Limits {
	if !there("memory") {
		l.Memory = 0
	}
	if !there("cpu") {
		l.CPU = 0
	}
	if !there("pids") {
		l.Processes = 0
	}
	return l
}

func (l *one) Close() (err error) {
	for _, t := range l.trees {
		err = errors.Join(err, t.folder.empty(os.Remove))
		t.home.Close()
	}
	return err
}

func (l *one) Group(name string, limits Limits) (Group, error) {
	g := &groupOne{of: l, max: limits.Memory}
	name = fmt.Sprintf("%d-%s", l.last.Add(1), name) // the number first: no file of the kernel's is called so
	for _, t := range l.trees {
		f := folder(t.folder.path(name))
		g.folders = append(g.folders, f)
		err := os.MkdirAll(string(f), 0o755)
		if err == nil {
			err = t.limit(f, limits)
		}
		if err != nil {
			return nil, errors.Join(err, g.Close())
		}
	}
	return g, nil
}

func (t tree) limit(f folder, l Limits) (err error) {
	if t.has("memory") && l.Memory > 0 {
		bytes := strconv.FormatInt(l.Memory, 10)
		err = errors.Join(f.write("memory.limit_in_bytes", bytes), f.writeIfThere("memory.memsw.limit_in_bytes", bytes))
	}
	if t.has("cpu") && l.CPU > 0 {
		err = errors.Join(err, f.write("cpu.cfs_period_us", strconv.Itoa(period)), f.write("cpu.cfs_quota_us", quota(l.CPU)))
	}
	if t.has("pids") && l.Processes > 0 {
		err = errors.Join(err, f.write("pids.max", strconv.Itoa(l.Processes)))
	}
	return err
}

// quota is how many microseconds of each period there are for so many cores.
func quota(cores float64) string { return strconv.Itoa(max(1000, int(cores*period))) }

type groupOne struct {
	of      *one
	folders []folder // one of each tree
	max     int64    // bytes of memory; 0: any number
}

// Enter moves the calling thread into each folder; what it starts is born there. Written from outside, a
// process would have had the time to start others. Only a thread other than the process's first may enter: the
// memory of the whole process is counted where that one is.
func (g *groupOne) Enter(*syscall.SysProcAttr) error {
	if unix.Gettid() == os.Getpid() {
		return errors.New("limits: the first thread of the server is not to enter a group")
	}
	for _, f := range g.folders {
		if err := f.write("tasks", "0"); err != nil {
			g.Leave()
			return err
		}
	}
	return nil
}

// Leave goes through files that are open already: the thread may have been forbidden to open any. If one
// does not take it, the thread is out when it ends, and the group stays until then.
func (g *groupOne) Leave() {
	for _, t := range g.of.trees {
		t.home.WriteAt([]byte("0"), 0)
	}
}

func (g *groupOne) Take(pid int) error {
	for _, f := range g.folders {
		if err := f.write("cgroup.procs", strconv.Itoa(pid)); err != nil {
			return err
		}
	}
	return nil
}

// Lower writes a tenth of the default, which is 1024. Disks are left to ioprio_set(2).
func (g *groupOne) Lower() (err error) {
	for i, t := range g.of.trees {
		if t.has("cpu") {
			err = errors.Join(err, g.folders[i].writeIfThere("cpu.shares", "102"))
		}
	}
	return err
}

func (g *groupOne) memory() folder {
	at := slices.IndexFunc(g.of.trees, func(t tree) bool { return t.has("memory") })
	if at < 0 {
		return ""
	}
	return g.folders[at]
}

func (g *groupOne) Overused() (used, max int64, over bool) {
	f := g.memory()
	if g.max == 0 || f == "" || f.count("memory.oom_control", "oom_kill") == 0 {
		return 0, 0, false
	}
	return overused(f.number("memory.max_usage_in_bytes"), g.max)
}

// overused leaves out a kill for a limit around the group, or for the machine's own: the group's use was
// not near its limit then.
func overused(used, max int64) (int64, int64, bool) {
	return used, max, used >= max-max/10
}

func (g *groupOne) Close() (err error) {
	for _, f := range g.folders {
		err = errors.Join(err, f.remove(os.Remove))
	}
	return err
}
