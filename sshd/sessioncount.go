package sshd

import "sync"

// sessionCount counts running sessions, and connections that have had none yet, so that a stop can
// wait for them.
type sessionCount struct {
	mu        sync.Mutex
	n         int
	newcomers int
	stopping  bool
	drained   chan struct{} // closed when nothing is waited for any more; nil: nobody waits
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
	c.check()
}

// arrive counts a connection until settle is called, which is when its first session has begun, or
// none will. Calling settle again is harmless.
func (c *sessionCount) arrive() (settle func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.newcomers++
	return sync.OnceFunc(func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.newcomers--
		c.check()
	})
}

// leave returns a channel that closes when there is no session and no newcomer. From then on there are
// no new sessions.
func (c *sessionCount) leave() <-chan struct{} { return c.await(false) }

// drain stops new sessions. The channel closes when the last session has ended.
func (c *sessionCount) drain() <-chan struct{} { return c.await(true) }

func (c *sessionCount) await(stopping bool) <-chan struct{} {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopping = c.stopping || stopping
	drained := make(chan struct{})
	c.drained = drained
	c.check()
	return drained
}

func (c *sessionCount) check() {
	if c.drained != nil && c.n == 0 && (c.stopping || c.newcomers == 0) {
		c.stopping = true
		close(c.drained)
		c.drained = nil
	}
}
