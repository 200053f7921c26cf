package nice

import (
	"errors"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// leastUrgent is the lowest level of the class "best effort" (ioprio_set(2)).
const leastUrgent = 2<<13 | 7

// Group makes the processes of a group nicer: value is from 1 to 19, as of nice(1), and disks get the lowest
// level that still has a share. What is nicer already stays so. Of a process only the first thread counts
// here.
func Group(pid, value int) { set(unix.PRIO_PGRP, pid, value) }

// Threads does so for all threads of a process: one that it started before it became nicer is not.
func Threads(pid, value int) {
	for range 5 { // one may start another meanwhile
		tasks, _ := os.ReadDir("/proc/" + strconv.Itoa(pid) + "/task")
		all := true
		for _, task := range tasks {
			if tid, err := strconv.Atoi(task.Name()); err == nil && set(unix.PRIO_PROCESS, tid, value) {
				all = false
			}
		}
		if all {
			return
		}
	}
}

// set has no error to tell of: the process may be gone, or a filter of system calls in the way.
// changed is whether it was less nice before.
func set(which, pid, value int) (changed bool) {
	left, err := unix.Getpriority(which, pid)
	if changed = err == nil && 20-left < value; changed { // root could undo what was nicer
		unix.Setpriority(which, pid, value)
	}
	unix.Syscall(unix.SYS_IOPRIO_SET, uintptr(which+1), uintptr(pid), leastUrgent) // IOPRIO_WHO_PROCESS is 1, of a group 2
	return changed
}

// Own is how nice the calling thread is; a server that was started by nice(1) is so, and all it starts.
func Own() int {
	left, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		return 0
	}
	return 20 - left // as the system call has it
}

// Session makes the session of process pid nicer among all others: where the kernel groups processes by
// sessions (sched(7), "The autogroup feature"), their own value counts within one alone. It blocks until
// that is done, or done closes: without root the kernel takes one such change each 100 ms.
func Session(pid, value int, done <-chan struct{}) {
	path := "/proc/" + strconv.Itoa(pid) + "/autogroup"
	for range 50 {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return // it has ended, or this kernel has no such thing
		}
		_, err = f.WriteString(strconv.Itoa(value))
		f.Close()
		if !errors.Is(err, unix.EAGAIN) {
			return
		}
		select {
		case <-done:
			return
		case <-time.After(100 * time.Millisecond):
		}
	}
}
