package watch

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"unsafe"

	"golang.org/x/sys/unix"
)

// startQueue runs functions on one thread that lives as long as the process: the parent-death
// signal is sent when the *thread* that started the command ends (prctl(2)).
var startQueue = make(chan func())

func init() {
	go func() {
		runtime.LockOSThread()
		for start := range startQueue {
			start()
		}
	}()
}

func startCommand(cmd *exec.Cmd) error {
	done := make(chan error)
	startQueue <- func() { done <- cmd.Start() }
	return <-done
}

// becomeSubreaper makes orphans our children, so that we can reap them. Otherwise a dead but
// unreaped member would keep a group alive.
func becomeSubreaper() { unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }

// reap reaps all exited children except one, whose status os/exec waits for. That one can hide
// others behind it: call reap again when it is gone.
func reap(except int) {
	for {
		// In siginfo_t the pid follows three integers and is aligned like a pointer: waitid(2).
		var info struct {
			signal, errno, code int32
			_                   [0]uintptr
			pid                 int32
			_                   [128]byte
		}
		err := unix.Waitid(unix.P_ALL, 0, (*unix.Siginfo)(unsafe.Pointer(&info)),
			unix.WEXITED|unix.WNOHANG|unix.WNOWAIT, nil)
		if err == unix.EINTR {
			continue
		}
		if err != nil || info.pid == 0 || int(info.pid) == except {
			return
		}
		unix.Wait4(int(info.pid), nil, unix.WNOHANG, nil)
	}
}

// strays returns the descendants of this process that run outside the process group, because they
// called setsid or setpgid. Orphans, and what was not reaped yet, are among them: see
// becomeSubreaper.
func strays(group int) []int {
	type process struct{ pid, group int }
	children := map[int][]process{} // by parent
	names, _ := os.ReadDir("/proc")
	for _, name := range names {
		pid, err := strconv.Atoi(name.Name())
		if err != nil {
			continue
		}
		stat, err := os.ReadFile(filepath.Join("/proc", name.Name(), "stat"))
		if err != nil {
			continue // it has ended
		}
		// The program's name may contain anything, even ")": proc_pid_stat(5).
		rest := stat[bytes.LastIndexByte(stat, ')')+1:]
		var state string
		var parent, in int
		if _, err := fmt.Sscan(string(rest), &state, &parent, &in); err == nil {
			children[parent] = append(children[parent], process{pid, in})
		}
	}
	var found []int
	for next := children[os.Getpid()]; len(next) > 0; next = next[1:] {
		if next[0].group != group {
			found = append(found, next[0].pid)
		}
		next = append(next, children[next[0].pid]...)
	}
	return found
}
