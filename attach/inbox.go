package attach

import (
	"bytes"
	"errors"
	"io"
	"sync"
)

// inbox is the input that has come and was not read yet.
type inbox struct {
	taken func(n int) // told how much more was read, now and then

	mu     sync.Mutex
	change sync.Cond
	held   bytes.Buffer
	owed   int   // read, and not told yet
	end    error // nil: more may come
}

func newInbox(taken func(int)) *inbox {
	in := &inbox{taken: taken}
	in.change.L = &in.mu
	return in
}

var errOverrun = errors.New("a client sent more input than there is room for")

// put takes what came. It never blocks.
func (in *inbox) put(p []byte) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	switch {
	case in.end != nil:
		return nil
	case in.held.Len()+len(p) > window:
		return errOverrun
	}
	in.held.Write(p)
	in.change.Broadcast()
	return nil
}

// finish says why nothing more comes: io.EOF, or that the client is gone.
func (in *inbox) finish(why error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.end == nil {
		in.end = why
	}
	in.change.Broadcast()
}

// Read blocks until there is something, or the end.
func (in *inbox) Read(p []byte) (int, error) {
	n, taken, err := in.read(p)
	if taken > 0 {
		in.taken(taken)
	}
	return n, err
}

func (in *inbox) read(p []byte) (n, taken int, err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for in.held.Len() == 0 && in.end == nil {
		in.change.Wait()
	}
	if in.held.Len() == 0 {
		return 0, 0, in.end
	}
	n, _ = in.held.Read(p)
	if in.owed += n; in.owed >= window/4 { // not for each key that a person presses
		taken, in.owed = in.owed, 0
	}
	return n, taken, nil
}

var _ io.Reader = (*inbox)(nil)
