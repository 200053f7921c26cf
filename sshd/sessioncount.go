package sshd

import "sync"

// sessionCount counts running sessions, so that a stop can wait for them.
type sessionCount struct {
	mu       sync.Mutex
	n        int
	stopping bool
	drained  chan struct{} // closed when stopping and n is 0
}

// begin counts a session. It returns false if the server is stopping.
func (c *sessionCount) begin() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopping {
		return false
	}
	c.n++
	return true
}

func (c *sessionCount) end() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.n--
	if c.stopping && c.n == 0 {
		close(c.drained)
	}
}

// drain stops new sessions. The channel closes when the last session has ended. Call it once.
func (c *sessionCount) drain() <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopping = true
	c.drained = make(chan struct{})
	if c.n == 0 {
		close(c.drained)
	}
	return c.drained
}
