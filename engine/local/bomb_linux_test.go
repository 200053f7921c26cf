package local

import (
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"paas/engine/local/confine"
	"paas/rig"
)

// An app that starts as many processes as its user may have leaves some for the server, which would
// end if it could start no thread.
func TestForkBomb(t *testing.T) {
	rig.Need(t, "prlimit")
	user := 71777 // with no other processes: the kernel counts all of a user's
	for _, way := range []string{"all", "Landlock", "nothing"} {
		t.Run(way, func(t *testing.T) {
			rig.AsUser(t, user, []string{"prlimit", "--nproc=200:300", "env", "TEST_BOMB=" + way}, "^TestBombed$")
		})
		user++
	}
}

// Root may have any number of processes, but systemd limits the server's control group to some
// thousands.
func TestForkBombAsRoot(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("SKIP: it takes root")
	}
	var sets [2]unix.CapUserData
	if err := unix.Capget(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &sets[0]); err != nil || sets[0].Effective&(1<<unix.CAP_SYS_RESOURCE) == 0 {
		t.Skip("SKIP: it takes CAP_SYS_RESOURCE")
	}
	dir := fmt.Sprintf("/sys/fs/cgroup/pids/paas-test-%d", os.Getpid())
	if _, err := os.Stat("/sys/fs/cgroup/pids"); err != nil {
		dir = fmt.Sprintf("/sys/fs/cgroup/paas-test-%d", os.Getpid())
	}
	err := os.Mkdir(dir, 0o755)
	if err == nil {
		t.Cleanup(func() {
			rig.Eventually(t, "the group is empty", func() bool { return os.Remove(dir) == nil })
		})
		err = os.WriteFile(dir+"/pids.max", []byte("300"), 0)
	}
	if err != nil {
		t.Skipf("SKIP: no control group: %v", err)
	}
	enter := []string{"sh", "-c", `echo $$ >` + dir + `/cgroup.procs && TEST_BOMB=all exec "$0" "$@"`}
	rig.AsUser(t, 0, enter, "^TestBombed$")
}

func TestBombed(t *testing.T) {
	way := os.Getenv("TEST_BOMB")
	if way == "" {
		t.Skip("SKIP: TestForkBomb runs it")
	}
	all := confine.Probe(t.TempDir(), rig.Self()...)
	isolation := map[string]confine.Isolation{"all": all, "Landlock": {Landlock: all.Landlock, Seccomp: all.Seccomp}}[way]
	user := func(string, func(int) bool) (int, error) { return 71780, nil }
	l := &Local{Root: t.TempDir(), Self: rig.Self(), Layout: layout, Confined: Confined{User: user, OpenNet: true}, probe: found(isolation)}
	if err := l.Open(); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	out := &rig.Screen{}
	bomb := begin(t, l, spec{out: out}, `sh -c "(while sleep 1000 & do :; done) & exec sleep 1000"`)
	rig.Eventually(t, "no more processes", func() bool { return strings.Contains(strings.ToLower(out.String()), "fork") })
	began, end := make(chan struct{}), make(chan struct{})
	defer close(end)
	for range 20 { // a server that uses many threads
		go func() {
			runtime.LockOSThread()
			began <- struct{}{}
			<-end
		}()
	}
	for range 20 {
		<-began
	}
	if got := printed(t, l, spec{}, "echo alive"); got != "alive\n" {
		t.Errorf("another app: %q", got)
	}
	bomb.Stop(0)
}
