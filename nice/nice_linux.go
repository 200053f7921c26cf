package nice

import (
	"errors"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// leastUrgent is the lowest level of the "best effort" class (ioprio_set(2)).
const leastUrgent = 2<<13 | 7

// Group lowers the priority of a process group: value is from 1 to 19, as in nice(1), and disks get
// the lowest level that still has a share. It never raises a priority. Of each process it affects
// only the first thread.
func Group(pid, value int) { set(unix.PRIO_PGRP, pid, value) }

// Threads is Group for all threads of a process, including those that it started before.
func Threads(pid, value int) {
	for range 5 { // threads may start others meanwhile
		tasks, _ := os.ReadDir("/proc/" + strconv.Itoa(pid) + "/task")
		all := true
		for _, task := range tasks {
			if tid, err := strconv.Atoi(task.Name()); err == nil &&
				set(unix.PRIO_PROCESS, tid, value) {
				all = false
			}
		}
		if all {
			return
		}
	}
}

// set reports whether it changed the priority. It ignores errors: the process may have ended, or a
// filter of system calls may forbid it.
func set(which, pid, value int) (changed bool) {
	left, err := unix.Getpriority(which, pid)
	if changed = err == nil && 20-left < value; changed { // root could raise a priority
		unix.Setpriority(which, pid, value)
	}
	// IOPRIO_WHO_PROCESS is 1, of a group 2
	unix.Syscall(unix.SYS_IOPRIO_SET, uintptr(which+1), uintptr(pid), leastUrgent)
	return changed
}

// Own returns how nice the calling thread is. A server started by nice(1) is nice, and so is
// everything it starts.
func Own() int {
	left, err := unix.Getpriority(unix.PRIO_PROCESS, 0)
	if err != nil {
		return 0
	}
	return 20 - left // the system call returns it like this
}

// Session lowers the priority of the session of process pid. If the kernel groups processes by
// session (sched(7), "The autogroup feature"), the priority of a process counts only within its
// session. It blocks until that is done, or done closes: without root the kernel accepts one change
// per 100 ms.
func Session(pid, value int, done <-chan struct{}) {
	path := "/proc/" + strconv.Itoa(pid) + "/autogroup"
	for range 50 {
		f, err := os.OpenFile(path, os.O_WRONLY, 0)
		if err != nil {
			return // the process has ended, or the kernel has no autogroups
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
