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

// v1 is version 1: a tree for each controller. A group has a folder in each (cgroup-v1 in the
// kernel's documentation).
type v1 struct {
	trees []tree
	last  atomic.Int64 // the last group's number
}

// tree is a tree of version 1 in which groups can be made.
type tree struct {
	controllers []string // those that are used here
	folder      folder   // of this server's groups
	ownTasks    *os.File // the tasks file of this process's group
}

func (t tree) has(controller string) bool { return slices.Contains(t.controllers, controller) }

// period is the scheduler's period in microseconds, the kernel's default.
const period = 100_000

// limitFiles are the files by which a controller of version 1 limits.
var limitFiles = map[string]string{
	"memory": "memory.limit_in_bytes",
	"cpu":    "cpu.cfs_quota_us",
	"pids":   "pids.max",
}

// openV1 makes a folder in each tree: below this process's group if possible, so that its limits
// also apply to apps, else at the top. It returns nil if it can make none.
func openV1(all []hierarchy, name string) Limiter {
	l := &v1{}
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
	for c := range limitFiles {
		if slices.Contains(h.controllers, c) {
			t.controllers = append(t.controllers, c)
		}
	}
	if h.v2 || len(t.controllers) == 0 {
		return t, false
	}
	for _, base := range []folder{folder(h.own), folder(h.top)} {
		f := folder(base.path(name))
		if f.empty(os.Remove) != nil || os.Mkdir(string(f), 0o755) != nil {
			continue
		}
		able := slices.DeleteFunc(slices.Clone(t.controllers),
			func(c string) bool { return !f.has(limitFiles[c]) })
		// the folder exists only while there are groups
		if f.remove(os.Remove) != nil || len(able) == 0 {
			continue
		}
		ownTasks, err := os.OpenFile(filepath.Join(h.own, "tasks"), os.O_WRONLY, 0)
		return tree{able, f, ownTasks}, err == nil
	}
	return t, false
}

func (l *v1) String() string { return "cgroup v1" }

func (l *v1) Lowers() bool { return false }

func (l *v1) holds(controller string) bool {
	return slices.ContainsFunc(l.trees, func(t tree) bool { return t.has(controller) })
}

func (l *v1) Holds(want Limits) Limits { return supported(want, l.holds) }

// supported returns the limits whose controller exists.
func supported(l Limits, has func(controller string) bool) Limits {
	if !has("memory") {
		l.Memory = 0
	}
	if !has("cpu") {
		l.CPU = 0
	}
	if !has("pids") {
		l.Processes = 0
	}
	return l
}

func (l *v1) Close() (err error) {
	for _, t := range l.trees {
		err = errors.Join(err, t.folder.empty(os.Remove))
		t.ownTasks.Close()
	}
	return err
}

func (l *v1) Group(name string, limits Limits) (Group, error) {
	g := &groupV1{of: l, max: limits.Memory}
	name = fmt.Sprintf("%d-%s", l.last.Add(1), name) // no file of the kernel's begins with a number
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
		err = errors.Join(f.write("memory.limit_in_bytes", bytes),
			f.writeIfExists("memory.memsw.limit_in_bytes", bytes))
	}
	if t.has("cpu") && l.CPU > 0 {
		err = errors.Join(err, f.write("cpu.cfs_period_us", strconv.Itoa(period)),
			f.write("cpu.cfs_quota_us", quota(l.CPU)))
	}
	if t.has("pids") && l.Processes > 0 {
		err = errors.Join(err, f.write("pids.max", strconv.Itoa(l.Processes)))
	}
	return err
}

// quota returns the microseconds per period for so many cores.
func quota(cores float64) string { return strconv.Itoa(max(1000, int(cores*period))) }

type groupV1 struct {
	of      *v1
	folders []folder // one in each tree
	max     int64    // bytes of memory; 0: no limit
}

// Enter moves the calling thread into each folder, and so what it starts. Moving a started process
// would be too late: it may have started others. The process's first thread must not enter: the
// memory of the whole process would be counted there.
func (g *groupV1) Enter(*syscall.SysProcAttr) error {
	if unix.Gettid() == os.Getpid() {
		return errors.New("limits: the first thread of the server must not enter a group")
	}
	for _, f := range g.folders {
		if err := f.write("tasks", "0"); err != nil {
			g.Leave()
			return err
		}
	}
	return nil
}

// Leave uses open files because the thread may not be allowed to open any. If a write fails, the
// thread leaves when it ends, and the group stays until then.
func (g *groupV1) Leave() {
	for _, t := range g.of.trees {
		t.ownTasks.WriteAt([]byte("0"), 0)
	}
}

func (g *groupV1) Take(pid int) error {
	for _, f := range g.folders {
		if err := f.write("cgroup.procs", strconv.Itoa(pid)); err != nil {
			return err
		}
	}
	return nil
}

// Lower sets a tenth of the default, 1024. For disks see ioprio_set(2).
func (g *groupV1) Lower() (err error) {
	for i, t := range g.of.trees {
		if t.has("cpu") {
			err = errors.Join(err, g.folders[i].writeIfExists("cpu.shares", "102"))
		}
	}
	return err
}

func (g *groupV1) Overused() (used, max int64, over bool) {
	at := slices.IndexFunc(g.of.trees, func(t tree) bool { return t.has("memory") })
	if g.max == 0 || at < 0 {
		return 0, 0, false
	}
	f := g.folders[at]
	if f.count("memory.oom_control", "oom_kill") == 0 {
		return 0, 0, false
	}
	return overused(f.number("memory.max_usage_in_bytes"), g.max)
}

// overused ignores a kill for the limit of a group above, or for the machine's: then the group's
// use was not near its own limit.
func overused(used, max int64) (int64, int64, bool) {
	return used, max, used >= max-max/10
}

func (g *groupV1) Close() (err error) {
	for _, f := range g.folders {
		err = errors.Join(err, f.remove(os.Remove))
	}
	return err
}
