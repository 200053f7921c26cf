package child

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"paas/rig"
)

// startServer runs program as a server in a process of its own, and returns when its app has
// started.
func startServer(
	t *testing.T, program, root string,
) (server *exec.Cmd, out io.Reader, life string, guard int) {
	t.Helper()
	server = exec.Command(program)
	server.Env = append(os.Environ(), "TEST_SERVER_ROOT="+root)
	var err error
	if out, err = server.StdoutPipe(); err != nil {
		t.Fatal(err)
	}
	if err := server.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		server.Process.Kill()
		server.Wait()
	})
	if _, err := fmt.Fscanf(out, "life %s %d\n", &life, &guard); err != nil {
		t.Fatal(err)
	}
	all := processTree{mark: rootMark(root) + life + "/"}
	// a shell, three escaped shells with a sleep each, their parent's sleep, and the plain one
	rig.Eventually(t, "everything runs", func() bool { return len(all.find()) == 9 })
	return server, out, life, guard
}

// After kill -9 of the server, its processes and the escaped ones are gone at once, and so is the
// guard. A new server on the same root that began meanwhile is left alone.
func TestServerKilled(t *testing.T) {
	root := t.TempDir()
	server, _, life, guard := startServer(t, os.Args[0], root)
	next := &Keeper{Root: root, life: "next"}
	bystander := exec.Command("sleep", "1000") // of another life
	bystander.Env = []string{Marker + "=" + next.lifeMark() + "x/"}
	if err := bystander.Start(); err != nil {
		t.Fatal(err)
	}
	defer bystander.Wait()
	defer bystander.Process.Kill()
	lives := func() bool { return len(processTree{mark: next.lifeMark()}.find()) == 1 }
	// Start returns a moment before that
	rig.Eventually(t, "the next life's process shows its Marker", lives)

	for _, sig := range []unix.Signal{unix.SIGTERM, unix.SIGINT, unix.SIGHUP} {
		unix.Kill(guard, sig) // as they come when somebody stops everything by name
	}
	began := time.Now()
	server.Process.Kill()
	server.Wait()
	old := processTree{mark: rootMark(root) + life + "/"}
	rig.Eventually(t, "all of its life is gone", func() bool { return len(old.find()) == 0 })
	rig.Eventually(t, "the guard is gone", func() bool { return gone(guard) })
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the processes were gone only after %s", took)
	}
	if !lives() {
		t.Error("a process of the new server was killed")
	}
}

// Processes of a session that began outside the PID namespace, as under docker exec, have session
// 0, as kernel threads do. They are found nevertheless.
func TestServerKilledInForeignSession(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("SKIP: a PID namespace needs root")
	}
	again := exec.Command("unshare", "--pid", "--fork", "--mount-proc", os.Args[0],
		"-test.run=^TestServerKilled$")
	if out, err := again.CombinedOutput(); err != nil {
		t.Errorf("err = %v; output:\n%s", err, out)
	}
}

// If server and guard are killed at once, the next server on that root kills what is left.
func TestOpenSweeps(t *testing.T) {
	root := t.TempDir()
	server, _, life, guard := startServer(t, os.Args[0], root)
	unix.Kill(server.Process.Pid, unix.SIGSTOP) // else it starts the guard again
	unix.Kill(guard, unix.SIGKILL)
	server.Process.Kill()
	server.Wait()
	old := processTree{mark: rootMark(root) + life + "/"}
	if len(old.find()) == 0 {
		t.Fatal("no process is left to kill")
	}
	other := newKeeper(t) // another root
	p := begin(t, other, "sleep 1000", nil, io.Discard)
	k := &Keeper{Root: root, Self: rig.Self()}
	if err := k.Open(); err != nil {
		t.Fatal(err)
	}
	defer k.Close()
	if left := old.find(); len(left) > 0 {
		t.Errorf("processes left: %v", left)
	}
	select {
	case <-p.Done():
		t.Error("a process of another root was killed")
	default:
	}
}

// A guard that dies is replaced, and the new one knows all leaders.
func TestGuardReplaced(t *testing.T) {
	k := newKeeper(t)
	first := k.guard.cmd.Process.Pid
	p := begin(t, k, "sleep 1000", nil, io.Discard)
	unix.Kill(first, unix.SIGKILL)
	now := 0
	rig.Eventually(t, "there is another guard", func() bool {
		k.guard.mu.Lock()
		defer k.guard.mu.Unlock()
		now = k.guard.cmd.Process.Pid
		return now != first
	})
	begin(t, k, "true", nil, io.Discard)
	if gone(now) {
		t.Error("the new guard has ended")
	}
	if p.Err() != nil {
		t.Error("the new guard ended the command")
	}
	t.Logf("the guard takes %d kB (of a test binary)", residentKB(now))
}

// A guard is replaced even if the server's program was removed, as by an upgrade: else nothing
// would kill the processes of a killed server.
func TestGuardReplacedAfterUpgrade(t *testing.T) {
	root := t.TempDir()
	program := filepath.Join(t.TempDir(), "paas")
	if out, err := exec.Command("cp", os.Args[0], program).CombinedOutput(); err != nil {
		t.Fatal(err, string(out))
	}
	server, out, life, guard := startServer(t, program, root)
	old := processTree{mark: rootMark(root) + life + "/"}
	t.Cleanup(func() { old.kill() })
	if err := os.Remove(program); err != nil {
		t.Fatal(err)
	}
	unix.Kill(guard, unix.SIGKILL)
	now := 0
	if _, err := fmt.Fscanf(out, "guard %d\n", &now); err != nil || now == guard {
		t.Fatalf("the guard is process %d, after %d; err = %v", now, guard, err)
	}
	server.Process.Kill()
	server.Wait()
	rig.Eventually(t, "all of its life is gone", func() bool { return len(old.find()) == 0 })
}

// GuardMain kills the leaders that were added and not removed.
func TestGuardMain(t *testing.T) {
	sleep := func() *exec.Cmd {
		cmd := exec.Command("sleep", "1000")
		ownSession(cmd)
		cmd.SysProcAttr.PidFD = nil
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			cmd.Process.Kill()
			cmd.Wait()
		})
		return cmd
	}
	kept, ended := sleep(), sleep()
	guard := exec.Command(os.Args[0], "guard", t.TempDir())
	guard.Env = []string{rig.ExitAtOnce}
	guard.Stdin = strings.NewReader(fmt.Sprintf("life\n+%d\n+%d\n-%d\nnonsense\n+1\n-1\n",
		kept.Process.Pid, ended.Process.Pid, kept.Process.Pid))
	if err := guard.Run(); err != nil {
		t.Fatal(err)
	}
	if gone(kept.Process.Pid) {
		t.Error("the guard killed a process that it does not know")
	}
	if !gone(ended.Process.Pid) {
		t.Error("the guard did not kill the process")
	}
}

func gone(pid int) bool {
	p, ok := readStat(pid)
	return !ok || p.state == 'Z'
}

func residentKB(pid int) (kb int) {
	status, _ := os.ReadFile(procPath(pid, "status"))
	_, after, _ := strings.Cut(string(status), "VmRSS:")
	fmt.Sscan(after, &kb)
	return kb
}

// The guard forgets a process id before it can be reused.
func TestGuardForgetsInTime(t *testing.T) {
	k := newKeeper(t)
	out := stuck{make(chan struct{})}
	c := begin(t, k, "echo x", nil, out)
	rig.Eventually(t, "its number is free", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.waited
	})
	if slices.Contains(k.guard.leaders(), c.PID()) {
		t.Error("the guard would kill another process with this id")
	}
	close(out.release)
	<-c.Done()
}

// stuck is an output that blocks for a while.
type stuck struct{ release chan struct{} }

func (s stuck) Write(p []byte) (int, error) {
	<-s.release
	return len(p), nil
}
