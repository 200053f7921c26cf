package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// ignoredSignals are those that this process ignores, but for SIGTTIN and SIGTTOU: were they caught, a
// write to the terminal from the background would be tried again forever. Go ignores none by itself.
func ignoredSignals() (signals []os.Signal) {
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

// unblockSignals starts this program again without any blocked signals, where it was started with some:
// Go gives each new thread the mask of the first, and so every process. It returns where there are none.
// The caller is on the first thread.
func unblockSignals() {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var blocked unix.Sigset_t
	if unix.PthreadSigmask(unix.SIG_BLOCK, nil, &blocked) != nil || blocked == (unix.Sigset_t{}) {
		return
	}
	if unix.PthreadSigmask(unix.SIG_SETMASK, &unix.Sigset_t{}, nil) == nil {
		syscall.Exec("/proc/self/exe", os.Args, os.Environ()) // where that fails, all goes on as it was
	}
}
