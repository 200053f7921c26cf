package sshd

import "sync"

// flight counts the sessions in flight, so that a stop can wait for them.
type flight struct {
	mu       sync.Mutex
	n        int
	stopping bool
	landed   chan struct{} // closed when stopping and n is 0
}

// begin counts a session; false once the server is stopping.
func (f *flight) begin() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stopping {
		return false
	}
	f.n++
	return true
}

func (f *flight) end() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n--
	if f.stopping && f.n == 0 {
		close(f.landed)
	}
}

// drain lets no session begin any more and returns what is closed when the last one ended. It is
// called once.
func (f *flight) drain() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.stopping = true
	f.landed = make(chan struct{})
	if f.n == 0 {
		close(f.landed)
	}
	return f.landed
}
