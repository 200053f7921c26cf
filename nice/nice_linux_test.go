package nice

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A group is nice to processors and disks, and so is its session among others, where the kernel has them
// as groups.
func TestGroupAndSession(t *testing.T) {
	cmd := exec.Command("sleep", "1000")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer cmd.Process.Kill()
	pid := cmd.Process.Pid
	Group(pid, 19)
	if got, err := unix.Getpriority(unix.PRIO_PROCESS, pid); err != nil || got != 20-19 {
		t.Errorf("20 less its nice value: %d, %v", got, err)
	}
	if got, _, errno := unix.Syscall(unix.SYS_IOPRIO_GET, 1, uintptr(pid), 0); errno != 0 || got != leastUrgent {
		t.Errorf("%#x, %v", got, errno)
	}
	Session(pid, 19, t.Context().Done())
	group, err := os.ReadFile(fmt.Sprintf("/proc/%d/autogroup", pid))
	if err == nil && !strings.HasSuffix(string(group), " nice 19\n") {
		t.Errorf("%s", group)
	}
	Process(pid, 5)
	if got, err := unix.Getpriority(unix.PRIO_PROCESS, pid); err != nil || got != 20-19 {
		t.Errorf("it was nicer already: %d, %v", got, err)
	}
}
