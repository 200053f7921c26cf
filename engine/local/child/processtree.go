package child

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Marker is the environment variable by which a server finds what it started, and what that
// started, whatever happened to the processes in between. Its value is <root>/<life>/<run>/: a
// volume, a run of the server on it, and a command of that run.
const Marker = "PAAS_RUN"

// rootMark returns the beginning of every Marker of the volume at root.
func rootMark(root string) string {
	sum := sha256.Sum256([]byte(root))
	return hex.EncodeToString(sum[:8]) + "/"
}

// processTree selects the processes of a command: those with the Marker, those in the session or
// group of a leader, and the descendants of both. A program that rewrites its environment (as
// setproctitle does) loses the Marker, one that calls setsid leaves the session. To escape it must
// do both, and its parent must be gone before anybody looks.
type processTree struct {
	mark    string    // prefix of the Marker's value
	leaders []int     // session leaders
	known   []process // found earlier (Linux only)
}

// kill kills all of them and what they start meanwhile. It blocks until none is left, and looks
// once more after the last. The error names the processes that survived SIGKILL for 10 s: the
// kernel keeps them, usually because of a dead disk.
func (t processTree) kill() error {
	const timeout = 10 * time.Second
	pause := 500 * time.Microsecond
	found := false
	for begin := time.Now(); ; pause = min(2*pause, 20*time.Millisecond) {
		left := t.find()
		if len(left) == 0 && !found {
			return nil
		}
		found = len(left) > 0
		t.known = left // one that is ending loses its environment before it closes its ports
		if time.Since(begin) > timeout {
			return fmt.Errorf("processes %v survive SIGKILL", pids(left))
		}
		for _, p := range left {
			p.signal(unix.SIGKILL)
		}
		time.Sleep(pause)
	}
}

func pids(list []process) []int {
	var numbers []int
	for _, p := range list {
		numbers = append(numbers, p.pid)
	}
	return numbers
}
