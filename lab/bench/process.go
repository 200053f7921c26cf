//go:build linux

package main

import (
	"errors"
	"fmt"
	"strconv"
	"time"

	"paas/lab/proc"
)

// cpu returns the processor time that a process has used.
func cpu(pid int) (time.Duration, error) {
	fields := proc.Stat(pid)
	if len(fields) < 13 {
		return 0, fmt.Errorf("process %d is gone", pid)
	}
	user, err1 := strconv.Atoi(fields[11])
	system, err2 := strconv.Atoi(fields[12])
	const tick = 10 * time.Millisecond // USER_HZ is 100 wherever Go runs
	return time.Duration(user+system) * tick, errors.Join(err1, err2)
}
