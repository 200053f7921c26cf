package runtime

import (
	"io"
	"sync"

	"paas/say"
)

// maxReleaseLog is how much output of a build and a boot is kept and shown, in bytes.
const maxReleaseLog = 16 << 20

// bounded passes on the first left bytes, and then one line that says that the rest is not shown.
// It is safe for concurrent use.
type bounded struct {
	mu   sync.Mutex
	to   io.Writer
	left int
}

// Write takes all of p unless to fails.
func (b *bounded) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left <= 0 {
		return len(p), nil
	}
	n, err := b.to.Write(p[:min(len(p), b.left)])
	if b.left -= n; err != nil {
		return n, err
	}
	if b.left == 0 {
		io.WriteString(b.to, "\n")
		say.Step(b.to, "It has printed %d MiB; the rest is not shown", maxReleaseLog>>20)
	}
	return len(p), nil
}
