package say

import (
	"io"
	"sync"
)

// Shared is a writer that several goroutines may use at once.
type Shared struct {
	mu sync.Mutex
	w  io.Writer
}

// NewShared returns a Shared that writes to w.
func NewShared(w io.Writer) *Shared { return &Shared{w: w} }

func (s *Shared) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.w.Write(p)
}
