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

// two is version 2: one tree for all controllers (cgroup-v2 in the kernel's documentation).
type two struct {
	kernel
	controllers []string // of those of use here, what groups have
	folder      folder   // of this server's groups
	base        folder   // where that is
	leaf        folder   // where this process has moved to; empty: it has not
	last        atomic.Int64
}

// kernel makes and removes groups; tests have one of their own.
type kernel struct{ mkdir, rmdir func(string) error }

var realKernel = kernel{func(path string) error { return os.Mkdir(path, 0o755) }, os.Remove}

var useful = []string{"memory", "cpu", "pids"}

// openTwo is nil where version 2 is not mounted, has no controllers, or does not let us.
func openTwo(all []hierarchy, name string) Limiter {
	for _, h := range all {
		if !h.two {
			continue
		}
		// Below the group that this process is in first, since what that is held to must hold for the
		// apps too. At the top, only root can.
		for _, base := range slices.Compact([]string{h.own, h.top}) {
			if l, err := openTwoAt(realKernel, folder(base), base == h.own, name); err == nil {
				return l
			}
		}
	}
	return nil
}

// openTwoAt makes the folder of groups in base, in which, where it is ours, this process is. A group that
// gives its controllers on may have no processes of its own, the top one of the machine excepted: systemd, told
// Delegate=yes, lets a service have such groups, and starts it in their parent. So this process moves into a
// leaf beside the others. Where somebody else is in the parent too, the kernel refuses, and all is as before.
func openTwoAt(k kernel, base folder, ours bool, name string) (_ *two, err error) {
	l := &two{kernel: k, folder: folder(base.path(name)), base: base}
	for _, c := range words(base, "cgroup.controllers") {
		if slices.Contains(useful, c) {
			l.controllers = append(l.controllers, c)
		}
	}
	if len(l.controllers) == 0 {
		return nil, errors.New("no controllers")
	}
	if slices.Contains(words(base, "cgroup.controllers"), "io") { // for its weight alone
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
	if ours && base.has("cgroup.type") { // the top one has no type
		l.leaf = folder(base.path(name + "-server"))
		if err := k.mkdir(string(l.leaf)); err != nil && !errors.Is(err, os.ErrExist) {
			return nil, err
		}
		if err := l.leaf.write("cgroup.procs", strconv.Itoa(os.Getpid())); err != nil {
			return nil, err
		}
	}
	if err := l.giveOn(base); err != nil {
		return nil, err
	}
	if err := l.makeFolder(); err != nil {
		return nil, err
	}
	return l, l.folder.remove(k.rmdir) // while nothing is limited there is nothing
}

func (l *two) makeFolder() error {
	if err := l.mkdir(string(l.folder)); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return l.giveOn(l.folder)
}

// giveOn has the groups in f have the controllers.
func (l *two) giveOn(f folder) error {
	there := words(f, "cgroup.subtree_control")
	if !slices.ContainsFunc(l.controllers, func(c string) bool { return !slices.Contains(there, c) }) {
		return nil
	}
	return f.write("cgroup.subtree_control", "+"+strings.Join(l.controllers, " +"))
}

func words(f folder, file string) []string {
	content, _ := os.ReadFile(f.path(file))
	return strings.Fields(string(content))
}

func (l *two) String() string { return "cgroup v2" }

func (l *two) Holds(want Limits) Limits {
	return masked(want, func(c string) bool { return slices.Contains(l.controllers, c) })
}

func (l *two) Lowers() bool { return slices.Contains(l.controllers, "cpu") }

// Close moves this process back to where it was, too.
func (l *two) Close() error {
	err := l.folder.empty(l.rmdir)
	if l.leaf == "" {
		return err
	}
	l.base.write("cgroup.subtree_control", "-"+strings.Join(l.controllers, " -")) // else base takes no process
	return errors.Join(err, l.base.write("cgroup.procs", strconv.Itoa(os.Getpid())), l.rmdir(string(l.leaf)))
}

func (l *two) Group(name string, limits Limits) (Group, error) {
	if err := l.makeFolder(); err != nil {
		return nil, err
	}
	f := folder(l.folder.path(fmt.Sprintf("%d-%s", l.last.Add(1), name)))
	if err := l.mkdir(string(f)); err != nil {
		return nil, err
	}
	g := &groupTwo{folder: f, rmdir: l.rmdir, max: limits.Memory}
	err := f.limit(l.Holds(limits))
	if err == nil {
		g.open, err = os.Open(string(f))
	}
	if err != nil {
		return nil, errors.Join(err, g.Close())
	}
	return g, nil
}

// limit leaves memory.high alone: what comes near the limit is not slowed down, but killed at it.
func (f folder) limit(l Limits) (err error) {
	if l.Memory > 0 {
		err = errors.Join(f.write("memory.max", strconv.FormatInt(l.Memory, 10)), f.writeIfThere("memory.swap.max", "0"))
	}
	if l.CPU > 0 {
		err = errors.Join(err, f.write("cpu.max", fmt.Sprintf("%s %d", quota(l.CPU), period)))
	}
	if l.Processes > 0 {
		err = errors.Join(err, f.write("pids.max", strconv.Itoa(l.Processes)))
	}
	return err
}

type groupTwo struct {
	folder folder
	rmdir  func(string) error
	open   *os.File
	max    int64 // bytes of memory; 0: any number
}

// Enter needs Linux 5.7, for clone3(2) into a group.
func (g *groupTwo) Enter(attr *syscall.SysProcAttr) error {
	attr.UseCgroupFD, attr.CgroupFD = true, int(g.open.Fd())
	return nil
}

func (g *groupTwo) Leave() {}

func (g *groupTwo) Take(pid int) error { return g.folder.write("cgroup.procs", strconv.Itoa(pid)) }

// Lower writes a tenth of the default, which is 100. Disks have one of the two files or none, as their
// scheduler is.
func (g *groupTwo) Lower() error {
	return errors.Join(g.folder.writeIfThere("cpu.weight", "10"), g.folder.writeIfThere("io.weight", "10"),
		g.folder.writeIfThere("io.bfq.weight", "10"))
}

func (g *groupTwo) Overused() (used, max int64, over bool) {
	if g.max == 0 || g.folder.count("memory.events", "oom_kill") == 0 {
		return 0, 0, false
	}
	if !g.folder.has("memory.peak") { // before Linux 5.19
		return g.max, g.max, true
	}
	return overused(g.folder.number("memory.peak"), g.max)
}

func (g *groupTwo) Close() error {
	if g.open != nil {
		g.open.Close()
	}
	return g.folder.remove(g.rmdir)
}
