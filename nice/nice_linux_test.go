package nice

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// A group's priority is lowered for processors and disks, and its session's if the kernel groups by
// session.
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
		t.Errorf("priority is %d, err = %v", got, err)
	}
	if got, _, errno := unix.Syscall(unix.SYS_IOPRIO_GET, 1, uintptr(pid), 0); errno != 0 ||
		got != leastUrgent {
		t.Errorf("disk priority is %#x, err = %v", got, errno)
	}
	Session(pid, 19, t.Context().Done())
	group, err := os.ReadFile(fmt.Sprintf("/proc/%d/autogroup", pid))
	if err == nil && !strings.HasSuffix(string(group), " nice 19\n") {
		t.Errorf("the session's group is %s", group)
	}
	Group(pid, 5)
	Threads(pid, 5)
	if got, err := unix.Getpriority(unix.PRIO_PROCESS, pid); err != nil || got != 20-19 {
		t.Errorf("the priority was raised to %d, err = %v", got, err)
	}
}

// With TEST_THREADS this is a program with several threads that waits for its input to end.
func TestMain(m *testing.M) {
	if os.Getenv("TEST_THREADS") != "" {
		fmt.Println("begun")
		os.Stdin.Read(make([]byte, 1))
		return
	}
	os.Exit(m.Run())
}

func TestThreads(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "TEST_THREADS=yes")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer cmd.Wait()
	defer stdin.Close()
	stdout.Read(make([]byte, 1))
	Threads(cmd.Process.Pid, 19)
	tasks, err := os.ReadDir(fmt.Sprintf("/proc/%d/task", cmd.Process.Pid))
	if err != nil || len(tasks) < 2 {
		t.Fatalf("found %d threads, err = %v", len(tasks), err)
	}
	for _, task := range tasks {
		tid, _ := strconv.Atoi(task.Name())
		if left, err := unix.Getpriority(unix.PRIO_PROCESS, tid); err != nil || left != 20-19 {
			t.Errorf("thread %d: priority is %d, err = %v", tid, left, err)
		}
	}
}
