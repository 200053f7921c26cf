package child

import (
	"fmt"
	"math"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"paas/rig"
)

func TestAppsShare(t *testing.T) {
	for all, want := range map[uint64]uint64{
		math.MaxUint64: 0, math.MaxInt64: 0, 0: 0, 1: 1, 40: 20, 100: 50, 200: 136, 1024: 896,
		8000: 7000,
	} {
		if got := appsShare(all); got != want {
			t.Errorf("appsShare(%d) = %d, want %d", all, got, want)
		}
	}
}

func TestGroupProcesses(t *testing.T) {
	dir := t.TempDir()
	write := func(path, text string) {
		path = filepath.Join(dir, path)
		os.MkdirAll(filepath.Dir(path), 0o755)
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("pids.max", "9000\n") // of a container
	write("pids/docker/x/pids.max", "33\n")
	write("a/pids.max", "500\n")
	write("a/b/pids.max", "max\n")
	write("a/b/c/pids.max", "4915\n")
	for membership, want := range map[string]uint64{
		"0::/a/b/c\n": 500, "0::/\n": 9000, "": math.MaxUint64, "4:memory:/a\n": math.MaxUint64,
		"4:cpu,pids:/docker/x\n": 33,
		"nonsense\n":             math.MaxUint64, "1:name=systemd:/\n0::/a/b\n": 500,
	} {
		write("cgroup", membership)
		if got := groupProcesses(filepath.Join(dir, "cgroup"), dir); got != want {
			t.Errorf("%q: got %d, want %d", membership, got, want)
		}
	}
}

// If the kernel lets nobody trace, as on hardened machines, commands start nevertheless and are
// limited soon after.
func TestStartUntraced(t *testing.T) {
	ptraceScope = filepath.Join(t.TempDir(), "scope")
	defer func() { ptraceScope = "/proc/sys/kernel/yama/ptrace_scope" }()
	if err := os.WriteFile(ptraceScope, []byte("3\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	k := newKeeper(t)
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NPROC, &limit); err != nil {
		t.Fatal(err)
	}
	k.maxProcesses = min(limit.Max, 100_000) - 1
	out := &rig.Screen{}
	p := begin(t, k,
		fmt.Sprintf("echo up; until grep -q '^Max processes  *%[1]d  *%[1]d ' "+
			"/proc/self/limits; do :; done; exit 3", k.maxProcesses), nil, out)
	<-p.Done()
	if out.String() != "up\n" || rig.Message(p.Err()) != "exit status 3" {
		t.Errorf("printed %q, err = %v", out.String(), p.Err())
	}
}
