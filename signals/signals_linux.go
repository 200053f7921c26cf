package signals

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// ignored returns the signals that this process ignores, except SIGTTIN and SIGTTOU: if they
// were caught, a background process would retry a write to the terminal for ever. Go itself ignores
// none.
func ignored() (signals []os.Signal) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return nil
	}
	_, line, _ := bytes.Cut(status, []byte("\nSigIgn:"))
	var mask uint64 // proc_pid_status(5)
	fmt.Sscanf(string(line), "%x", &mask)
	for s := syscall.Signal(1); s <= 64; s++ {
		if mask&(1<<(s-1)) != 0 && s != syscall.SIGTTIN && s != syscall.SIGTTOU {
			signals = append(signals, s)
		}
	}
	return signals
}

// Unblock executes this program again without blocked signals if it was started with some:
// Go passes the first thread's mask to each new thread, and so to every process. Otherwise it
// returns. It must be called on the first thread.
func Unblock() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var blocked unix.Sigset_t
	if unix.PthreadSigmask(unix.SIG_BLOCK, nil, &blocked) != nil || blocked == (unix.Sigset_t{}) {
		return
	}
	if unix.PthreadSigmask(unix.SIG_SETMASK, &unix.Sigset_t{}, nil) == nil {
		syscall.Exec("/proc/self/exe", os.Args, os.Environ()) // on error, go on with the blocked signals
	}
}
