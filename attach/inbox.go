package attach

import (
	"bytes"
	"errors"
	"sync"
)

// inbox is the input that was received and not read yet.
type inbox struct {
	taken func(n int) // reports from time to time how much more was read

	mu         sync.Mutex
	change     sync.Cond
	buffer     bytes.Buffer
	unreported int   // bytes read
	end        error // nil: more may come
}

func newInbox(taken func(int)) *inbox {
	in := &inbox{taken: taken}
	in.change.L = &in.mu
	return in
}

var errOverrun = errors.New("the client sent more input than allowed")

// put stores received input. It never blocks.
func (in *inbox) put(p []byte) error {
	in.mu.Lock()
	defer in.mu.Unlock()
	switch {
	case in.end != nil:
		return nil
	case in.buffer.Len()+len(p) > window:
		return errOverrun
	}
	in.buffer.Write(p)
	in.change.Broadcast()
	return nil
}

// finish sets the end of the input: io.EOF, or an error if the client is gone.
func (in *inbox) finish(why error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.end == nil {
		in.end = why
	}
	in.change.Broadcast()
}

// Read blocks until there is input, or its end.
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
	for in.buffer.Len() == 0 && in.end == nil {
		in.change.Wait()
	}
	if in.buffer.Len() == 0 {
		return 0, 0, in.end
	}
	n, _ = in.buffer.Read(p)
	if in.unreported += n; in.unreported >= window/4 { // not for each key press
		taken, in.unreported = in.unreported, 0
	}
	return n, taken, nil
}
