package child

import (
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"paas/rig"
)

// beFirst is the program as the first process of a PID namespace, and as its child, which leaves an
// orphan, waits until that is reaped, and then for a signal.
func beFirst() int {
	if os.Getpid() == 1 {
		return First(os.Args)
	}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM)
	out, err := exec.Command("sh", "-c", "sleep 0.05 >/dev/null & echo $!").Output()
	pid := 0
	if _, scanErr := fmt.Sscan(string(out), &pid); err != nil || scanErr != nil {
		return 1
	}
	for deadline := time.Now().Add(10 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		if syscall.Kill(pid, 0) == syscall.ESRCH {
			break
		}
		if time.Now().After(deadline) {
			return 2 // a zombie, for ever
		}
	}
	fmt.Println("reaped")
	<-stop
	return 7
}

// As the first process of a container the program reaps orphans, forwards signals and ends with its
// child's status.
func TestFirst(t *testing.T) {
	if runtime.GOOS != "linux" || os.Geteuid() != 0 {
		t.Skip("SKIP: a PID namespace needs Linux and root")
	}
	out := &rig.Screen{}
	cmd := exec.Command("unshare", "--pid", "--fork", "--mount-proc", os.Args[0])
	cmd.Env = append(os.Environ(), "TEST_FIRST=yes")
	cmd.Stdout, cmd.Stderr = out, out
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
	rig.Eventually(t, "the orphan is reaped",
		func() bool { return strings.Contains(out.String(), "reaped") })
	first := firstOf(t, cmd.Process.Pid)
	syscall.Kill(first, syscall.SIGTERM)
	if err := cmd.Wait(); rig.Message(err) != "exit status 7" {
		t.Errorf("err = %v, printed %s", err, out)
	}
}

// firstOf returns the first process of the namespace that unshare made, by its id in this one.
func firstOf(t *testing.T, unshare int) (pid int) {
	t.Helper()
	out, err := exec.Command("pgrep", "-P", fmt.Sprint(unshare)).Output()
	if _, scanErr := fmt.Sscan(string(out), &pid); err != nil || scanErr != nil {
		t.Fatal(err, scanErr)
	}
	return pid
}
