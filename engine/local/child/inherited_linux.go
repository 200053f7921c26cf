package child

import (
	"math"
	"os"
	"path/filepath"
	"strconv"

	"golang.org/x/sys/unix"
)

// keepInherited keeps from all commands the files that the server was itself started with, beside its three streams: a lock
// of a script's, a socket of a supervisor's. What Go opens is closed on execve(2) anyway.
func keepInherited() {
	if unix.CloseRange(3, math.MaxUint32, unix.CLOSE_RANGE_CLOEXEC) == nil { // Linux 5.11
		return
	}
	open, _ := filepath.Glob("/proc/self/fd/*")
	for _, name := range open {
		if fd, err := strconv.Atoi(filepath.Base(name)); err == nil && fd > int(os.Stderr.Fd()) {
			unix.CloseOnExec(fd)
		}
	}
}
