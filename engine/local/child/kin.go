package child

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Marker is the variable by which a server finds what it started, and what that started in turn,
// whatever became of the processes in between. Its value is <root>/<life>/<run>/ : the volume, one
// life of the server on it, one process or build step of that life.
const Marker = "PAAS_RUN"

// rootMark is what every Marker of the volume at root begins with.
func rootMark(root string) string {
	sum := sha256.Sum256([]byte(root))
	return hex.EncodeToString(sum[:8]) + "/"
}

// kin are processes that belong together, however they went apart: those that carry the Marker,
// those in the session or group of a leader, and what descends from either. A program that rewrites
// its own environment (as setproctitle does) loses the first sign, one that calls setsid the
// second; it takes both, and a parent that is gone before anybody looks, to get away.
type kin struct {
	mark    string     // what the Marker's value begins with
	leaders []int      // process ids that were made sessions of their own
	known   []relative // found earlier; off Linux not looked at
}

// kill ends all of them, and what they start meanwhile, and returns when none is left. It looks
// once more after the last: a process in the midst of execve(2) shows no environment for a moment.
// The error names those that 10 s of SIGKILL did not end: the kernel holds them, mostly over a
// dead disk.
func (k kin) kill() error {
	const patience = 10 * time.Second
	pause := 500 * time.Microsecond
	found := false
	for begin := time.Now(); ; pause = min(2*pause, 20*time.Millisecond) {
		left := k.find()
		if len(left) == 0 && !found {
			return nil
		}
		found = len(left) > 0
		if time.Since(begin) > patience {
			return fmt.Errorf("processes %v do not end, not even by SIGKILL", pids(left))
		}
		for _, p := range left {
			p.signal(unix.SIGKILL)
		}
		time.Sleep(pause)
	}
}

func pids(list []relative) []int {
	var numbers []int
	for _, p := range list {
		numbers = append(numbers, p.pid)
	}
	return numbers
}
