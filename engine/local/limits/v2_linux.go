package limits

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// v2 is version 2: one tree for all controllers (cgroup-v2 in the kernel's documentation).
type v2 struct {
	kernel
	controllers []string // those of the groups
	folder      folder   // of this server's groups
	base        folder   // the parent of folder
	leaf        folder   // where this process has moved; empty: it has not
	last        atomic.Int64
}

// kernel makes and removes groups. Tests replace it.
type kernel struct{ mkdir, rmdir func(string) error }

var realKernel = kernel{func(path string) error { return os.Mkdir(path, 0o755) }, os.Remove}

var useful = []string{"memory", "cpu", "pids"}

// openV2 returns nil if version 2 is not mounted, has no controllers, or may not be used.
func openV2(all []hierarchy, name string) Limiter {
	for _, h := range all {
		if !h.v2 {
			continue
		}
		// First below this process's group, so that its limits also apply to apps. Only root can
		// use the top.
		for _, base := range slices.Compact([]string{h.own, h.top}) {
			if l, err := openV2At(realKernel, folder(base), base == h.own && !h.leaf, name); err == nil {
				return l
			}
		}
	}
	return nil
}

// leafSuffix ends the name of the group that this process moves into.
const leafSuffix = "-server"

// openV2At makes the folder of groups in base. ours: base is this process's group. A group that
// passes controllers on must not contain processes, except for the machine's top one. With
// Delegate=yes, systemd lets a service have such groups, and starts it in their parent. So this
// process moves into a leaf beside the others. If another process is in the parent too, the kernel
// refuses, and everything stays as before.
func openV2At(k kernel, base folder, ours bool, name string) (_ *v2, err error) {
	l := &v2{kernel: k, folder: folder(base.path(name)), base: base}
	for _, c := range words(base, "cgroup.controllers") {
		if slices.Contains(useful, c) {
			l.controllers = append(l.controllers, c)
		}
	}
	if len(l.controllers) == 0 {
		return nil, errors.New("no controllers")
	}
	if slices.Contains(words(base, "cgroup.controllers"), "io") { // for its weight only
		l.controllers = append(l.controllers, "io")
	}
	if err := l.folder.empty(k.rmdir); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			l.Close()
		}
	}()
	if ours && base.has("cgroup.type") { // the top group has no type
		l.leaf = folder(base.path(name + leafSuffix))
		if err := k.mkdir(string(l.leaf)); err != nil && !errors.Is(err, os.ErrExist) {
			return nil, err
		}
		if err := l.leaf.write("cgroup.procs", strconv.Itoa(os.Getpid())); err != nil {
			return nil, err
		}
	}
	if err := l.enableControllers(base); err != nil {
		return nil, err
	}
	if err := l.makeFolder(); err != nil {
		return nil, err
	}
	return l, l.folder.remove(k.rmdir) // the folder exists only while there are groups
}

func (l *v2) makeFolder() error {
	if err := l.mkdir(string(l.folder)); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return l.enableControllers(l.folder)
}

// enableControllers gives the groups in f the controllers.
func (l *v2) enableControllers(f folder) error {
	enabled := words(f, "cgroup.subtree_control")
	if !slices.ContainsFunc(l.controllers,
		func(c string) bool { return !slices.Contains(enabled, c) }) {
		return nil
	}
	return f.write("cgroup.subtree_control", "+"+strings.Join(l.controllers, " +"))
}

func words(f folder, file string) []string {
	content, _ := os.ReadFile(f.path(file))
	return strings.Fields(string(content))
}

func (l *v2) String() string { return "cgroup v2" }

func (l *v2) Holds(want Limits) Limits {
	return supported(want, func(c string) bool { return slices.Contains(l.controllers, c) })
}

func (l *v2) Lowers() bool { return slices.Contains(l.controllers, "cpu") }

// Close also moves this process back to its original group.
func (l *v2) Close() error {
	err := l.folder.empty(l.rmdir)
	if l.leaf == "" {
		return err
	}
	// else base accepts no process
	l.base.write("cgroup.subtree_control", "-"+strings.Join(l.controllers, " -"))
	return errors.Join(err, l.base.write("cgroup.procs", strconv.Itoa(os.Getpid())),
		l.rmdir(string(l.leaf)))
}

func (l *v2) Group(name string, limits Limits) (Group, error) {
	if err := l.makeFolder(); err != nil {
		return nil, err
	}
	f := folder(l.folder.path(fmt.Sprintf("%d-%s", l.last.Add(1), name)))
	if err := l.mkdir(string(f)); err != nil {
		return nil, err
	}
	g := &groupV2{folder: f, rmdir: l.rmdir, max: limits.Memory}
	err := f.limit(l.Holds(limits))
	if err == nil {
		g.open, err = os.Open(string(f))
	}
	if err != nil {
		return nil, errors.Join(err, g.Close())
	}
	return g, nil
}

// limit does not set memory.high: a process is not slowed down near its limit, but killed at it.
func (f folder) limit(l Limits) (err error) {
	if l.Memory > 0 {
		err = errors.Join(f.write("memory.max", strconv.FormatInt(l.Memory, 10)),
			f.writeIfExists("memory.swap.max", "0"))
	}
	if l.CPU > 0 {
		err = errors.Join(err, f.write("cpu.max", fmt.Sprintf("%s %d", quota(l.CPU), period)))
	}
	if l.Processes > 0 {
		err = errors.Join(err, f.write("pids.max", strconv.Itoa(l.Processes)))
	}
	return err
}

type groupV2 struct {
	folder folder
	rmdir  func(string) error
	open   *os.File
	max    int64 // bytes of memory; 0: no limit
}

// Enter needs Linux 5.7 for clone3(2) into a group.
func (g *groupV2) Enter(attr *syscall.SysProcAttr) error {
	attr.UseCgroupFD, attr.CgroupFD = true, int(g.open.Fd())
	return nil
}

func (g *groupV2) Leave() {}

func (g *groupV2) Take(pid int) error { return g.folder.write("cgroup.procs", strconv.Itoa(pid)) }

// Lower sets a tenth of the default, 100. Whether a disk has one of the two files depends on its
// scheduler.
func (g *groupV2) Lower() error {
	return errors.Join(g.folder.writeIfExists("cpu.weight", "10"),
		g.folder.writeIfExists("io.weight", "10"),
		g.folder.writeIfExists("io.bfq.weight", "10"))
}

func (g *groupV2) Overused() (used, max int64, over bool) {
	if g.max == 0 || g.folder.count("memory.events", "oom_kill") == 0 {
		return 0, 0, false
	}
	if !g.folder.has("memory.peak") { // before Linux 5.19
		return g.max, g.max, true
	}
	return overused(g.folder.number("memory.peak"), g.max)
}

func (g *groupV2) Close() error {
	if g.open != nil {
		g.open.Close()
	}
	return g.folder.remove(g.rmdir)
}
