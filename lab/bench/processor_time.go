//go:build linux

package main

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"paas/lab/proc"
)

// used returns the processor time of a process and of its descendants that have ended and were
// waited for, to the nanosecond for the process and to 10 ms for its descendants.
func used(pid int) (time.Duration, error) {
	const scheduled = 2 // CPUCLOCK_SCHED of the kernel; see clock_getcpuclockid(3) for the clock id
	var own unix.Timespec
	if err := unix.ClockGettime(int32(^pid)<<3|scheduled, &own); err != nil {
		return 0, fmt.Errorf("processor time of process %d: %w", pid, err)
	}
	sum := time.Duration(own.Nano())
	fields := proc.Stat(pid)
	if len(fields) < 15 {
		return 0, fmt.Errorf("process %d is gone", pid)
	}
	for _, children := range fields[13:15] { // user, system
		ticks, err := strconv.Atoi(children)
		if err != nil {
			return 0, err
		}
		sum += time.Duration(ticks) * 10 * time.Millisecond
	}
	return sum, nil
}

// usedBy returns the sum of [used] for several processes.
func usedBy(pids []int) (sum time.Duration, err error) {
	for _, pid := range pids {
		d, usedErr := used(pid)
		sum += d
		err = errors.Join(err, usedErr)
	}
	return sum, err
}
