package limits

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// fakeKernel is a kernel whose groups are ordinary folders with the files of version 2.
var fakeKernel = kernel{
	mkdir: func(dir string) error {
		if err := os.Mkdir(dir, 0o755); err != nil {
			return err
		}
		files := []string{"cgroup.procs", "cgroup.subtree_control", "cgroup.kill"}
		for c := range strings.FieldsSeq(content(filepath.Dir(dir), "cgroup.subtree_control")) {
			files = append(files, map[string][]string{
				"memory": {
					"memory.max", "memory.swap.max", "memory.high", "memory.events", "memory.peak",
				}, "cpu": {"cpu.max", "cpu.weight"}, "pids": {"pids.max"},
				"io": {"io.max", "io.bfq.weight"},
			}[strings.TrimPrefix(c, "+")]...)
		}
		return write(dir, files...)
	},
	rmdir: func(dir string) error {
		if entries, _ := os.ReadDir(dir); slices.ContainsFunc(entries, os.DirEntry.IsDir) {
			return unix.EBUSY
		}
		return os.RemoveAll(dir)
	},
}

// write writes files given as name or name=content.
func write(dir string, files ...string) error {
	for _, file := range files {
		name, text, _ := strings.Cut(file, "=")
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func content(dir, file string) string {
	text, err := os.ReadFile(filepath.Join(dir, file))
	if err != nil {
		return err.Error()
	}
	return string(text)
}

func want(t *testing.T, dir string, files ...string) {
	t.Helper()
	for _, file := range files {
		name, text, _ := strings.Cut(file, "=")
		if got := content(dir, name); got != text {
			t.Errorf("%s contains %q, want %q", name, got, text)
		}
	}
}

// service makes the group of a systemd service with Delegate=yes that contains this process.
func service(t *testing.T) (dir string) {
	dir = t.TempDir()
	err := write(dir, "cgroup.type=domain", "cgroup.controllers=cpuset cpu io memory pids",
		"cgroup.subtree_control", "cgroup.procs")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestV2(t *testing.T) {
	dir := service(t)
	groups, leaf, self := filepath.Join(dir, "paas-x"), filepath.Join(dir, "paas-x-server"),
		strconv.Itoa(os.Getpid())
	l, err := openV2At(fakeKernel, folder(dir), true, "paas-x")
	if err != nil {
		t.Fatal(err)
	}
	want(t, leaf, "cgroup.procs="+self)
	want(t, dir, "cgroup.subtree_control=+cpu +memory +pids +io")
	all := Limits{256 << 20, 0.5, 100}
	if l.Holds(all) != all || Describe(l, true) != "limits by cgroup v2" {
		t.Errorf("Holds = %v; %s", l.Holds(all), Describe(l, true))
	}
	g, err := l.Group("blog.v7.web.1", all)
	if err != nil {
		t.Fatal(err)
	}
	want(t, groups, "cgroup.subtree_control=+cpu +memory +pids +io", "cgroup.procs=")
	group := filepath.Join(groups, "1-blog.v7.web.1")
	want(t, group, "memory.max=268435456", "memory.swap.max=0", "memory.high=",
		"cpu.max=50000 100000", "pids.max=100")
	var attr syscall.SysProcAttr
	if err := g.Enter(&attr); err != nil || !attr.UseCgroupFD {
		t.Errorf("err = %v, attr = %v", err, attr)
	}
	if opened, _ := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", attr.CgroupFD)); opened != group {
		t.Errorf("the command starts in %s", opened)
	}

	// was the kill for the group's own limit?
	for files, is := range map[string]bool{
		"memory.events=low 0\nmax 9\noom 1\noom_kill 1\n memory.peak=268431360": true,
		"memory.events=low 0\nmax 9\noom 1\noom_kill 0\n memory.peak=268431360": false,
		// for one around it
		"memory.events=oom_kill 1\n memory.peak=1000000": false,
	} {
		events, peak, _ := strings.Cut(files, " memory.peak")
		write(group, events, "memory.peak"+peak)
		if used, max, over := g.Overused(); over != is || over &&
			(used != 268431360 || max != 256<<20) {
			t.Errorf("%q: Overused = %d, %d, %v", files, used, max, over)
		}
	}
	other, err := l.Group("blog.v7.web.1", Limits{Processes: 7})
	if err != nil {
		t.Fatal(err)
	}
	want(t, filepath.Join(groups, "2-blog.v7.web.1"), "memory.max=", "cpu.max=", "pids.max=7")
	if _, _, over := other.Overused(); over {
		t.Error("Overused is true for a group without limit")
	}
	want(t, filepath.Join(groups, "2-blog.v7.web.1"), "cpu.weight=", "io.bfq.weight=")
	if err := other.Lower(); err != nil || !l.Lowers() {
		t.Errorf("err = %v, Lowers = %v", err, l.Lowers())
	}
	want(t, filepath.Join(groups, "2-blog.v7.web.1"), "cpu.weight=10", "io.bfq.weight=10")
	if err := g.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(group); err == nil {
		t.Error("the group is still there")
	}
	if err := l.Close(); err != nil { // with the other
		t.Error(err)
	}
	want(t, dir, "cgroup.procs="+self, "cgroup.subtree_control=-cpu -memory -pids -io")
	for _, dir := range []string{groups, leaf} {
		if _, err := os.Stat(dir); err == nil {
			t.Errorf("%s is still there", dir)
		}
	}
}

// Open removes what a killed server has left, and no other groups.
func TestV2LeftBehind(t *testing.T) {
	dir := service(t)
	for _, left := range []string{
		"paas-x", "paas-x/3-blog.v1.web.1", "paas-x-server", "paas-y", "paas-y/1-shop.v1.web.1",
	} {
		if err := fakeKernel.mkdir(filepath.Join(dir, left)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := openV2At(fakeKernel, folder(dir), true, "paas-x"); err != nil {
		t.Fatal(err)
	}
	left, _ := filepath.Glob(dir + "/paas-*")
	if more, _ := filepath.Glob(dir + "/paas-*/[0-9]*"); len(left) != 2 || len(more) != 1 {
		t.Errorf("still there: %v, %v", left, more)
	}
}

// If other processes are in the server's group, everything stays as it was.
func TestV2Refused(t *testing.T) {
	dir := service(t)
	os.Remove(filepath.Join(dir, "cgroup.subtree_control"))
	os.Mkdir(filepath.Join(dir, "cgroup.subtree_control"), 0o755) // which takes nothing
	if _, err := openV2At(fakeKernel, folder(dir), true, "paas-x"); err == nil {
		t.Error("openV2At returned no error")
	}
	want(t, dir, "cgroup.procs="+strconv.Itoa(os.Getpid()))
	if left, _ := filepath.Glob(dir + "/paas-*"); len(left) > 0 {
		t.Errorf("still there: %v", left)
	}
}

// A machine without one of the controllers, where root makes groups at the top.
func TestV2AtTheTop(t *testing.T) {
	dir := t.TempDir()
	write(dir, "cgroup.controllers=cpu pids", "cgroup.subtree_control=cpu pids", "cgroup.procs")
	l, err := openV2At(fakeKernel, folder(dir), false, "paas-x")
	if err != nil {
		t.Fatal(err)
	}
	want(t, dir, "cgroup.procs=", "cgroup.subtree_control=cpu pids")
	if held := l.Holds(Limits{1, 1, 1}); held != (Limits{0, 1, 1}) {
		t.Errorf("Holds = %v", held)
	}
	if _, err := l.Group("x", Limits{Memory: 1 << 30, CPU: 2}); err != nil {
		t.Error(err)
	}
	want(t, filepath.Join(dir, "paas-x", "1-x"), "cpu.max=200000 100000")
	if l := openV2([]hierarchy{
		{top: t.TempDir(), own: t.TempDir(), v2: true},
	}, "paas-x"); l != nil {
		t.Error("a tree without controllers was used")
	}
}

// With the real kernel, without controllers: a process starts in its group. What it starts is in
// the group too, and is killed with it, even in another session.
func TestV2RealKernel(t *testing.T) {
	mounts, _ := os.ReadFile("/proc/self/mountinfo")
	all := hierarchies(string(mounts), "")
	at := slices.IndexFunc(all, func(h hierarchy) bool { return h.v2 })
	if at < 0 {
		t.Skip("SKIP: no cgroup2 is mounted")
	}
	l := &v2{
		kernel: realKernel,
		folder: folder(filepath.Join(all[at].top, folderName(t.TempDir()))),
	}
	g, err := l.Group("x", Limits{})
	if err != nil {
		t.Skip("SKIP: cannot write control groups: ", err)
	}
	cmd := exec.Command("sh", "-c", "setsid sleep 1000 & echo $!; exec sleep 1000")
	cmd.SysProcAttr = &syscall.SysProcAttr{}
	if err := g.Enter(cmd.SysProcAttr); err != nil {
		t.Fatal(err)
	}
	out, _ := cmd.StdoutPipe()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var grandchild int
	fmt.Fscan(out, &grandchild)
	inside := content(string(l.folder), "1-x/cgroup.procs")
	if inside != fmt.Sprintf("%d\n%d\n", cmd.Process.Pid, grandchild) {
		t.Errorf("the group contains %q, want %d and %d", inside, cmd.Process.Pid, grandchild)
	}
	if err := g.Close(); err != nil {
		t.Error(err)
	}
	cmd.Wait()
	for deadline := time.Now().Add(10 * time.Second); syscall.Kill(grandchild, 0) == nil &&
		time.Now().Before(deadline); {
		if stat := content("/proc", fmt.Sprint(grandchild, "/stat")); strings.Contains(stat,
			") Z ") {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Stat(string(l.folder)); err == nil {
		t.Error("the folder is still there")
	}
}

func TestHierarchies(t *testing.T) {
	const hybrid = `30 23 0:26 / /sys/fs/cgroup ro shared:9 - tmpfs tmpfs ro,mode=755
31 30 0:27 / /sys/fs/cgroup/unified rw shared:10 - cgroup2 cgroup2 rw
32 30 0:28 / /sys/fs/cgroup/systemd rw shared:11 - cgroup cgroup rw,xattr,name=systemd
33 30 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:12 - cgroup cgroup rw,cpu,cpuacct
34 30 0:30 / /sys/fs/cgroup/memory rw shared:13 - cgroup cgroup rw,memory
`
	const groups = "3:cpu,cpuacct:/user\n2:memory:/\n1:name=systemd:/user/session\n" +
		"0::/user/session\n"
	const container = "40 39 0:26 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup " +
		"rw,memory\n41 39 0:27 / /sys/fs/my\\040groups rw - cgroup2 cgroup rw\n"
	for _, c := range []struct {
		mounts, groups string
		want           string
	}{
		{hybrid, groups,
			"/sys/fs/cgroup/unified: /sys/fs/cgroup/unified/user/session; " +
				"/sys/fs/cgroup/systemd: /sys/fs/cgroup/systemd/user/session; " +
				"/sys/fs/cgroup/cpu,cpuacct: /sys/fs/cgroup/cpu,cpuacct/user; " +
				"/sys/fs/cgroup/memory: /sys/fs/cgroup/memory; "},
		{
			container, "2:memory:/docker/abc/x\n0::/../y\n",
			"/sys/fs/cgroup/memory: /sys/fs/cgroup/memory/x; /sys/fs/my groups: /sys/fs/my groups; ",
		},
		{
			container, "2:memory:/docker/abcd\n0::/\n",
			"/sys/fs/cgroup/memory: /sys/fs/cgroup/memory; /sys/fs/my groups: /sys/fs/my groups; ",
		},
		{"not - a\nmount", "x\n", ""},
	} {
		got := ""
		for _, h := range hierarchies(c.mounts, c.groups) {
			got += h.top + ": " + h.own + "; "
		}
		if got != c.want {
			t.Errorf("got %s", got)
		}
	}
}
