package keep

import (
	"bytes"
	"context"
	"io"
	"sync"
)

// output is the output of a place's processes. It keeps the end of the current or last process's
// output in memory, to show why it ended or how it starts.
type output struct {
	log Log // nil: none

	mu      sync.Mutex
	tail    []byte
	cut     bool // tail is not the whole output
	over    bool // the process has ended
	readers map[*reader]struct{}
}

const (
	maxTail   = 8 << 10 // bytes; up to twice as many are kept
	maxBehind = 1 << 20 // maximum delay of a reader in bytes; it misses what comes then
	lastLines = 20
	maxLine   = 1 << 10
)

// begin discards the output of the previous process.
func (o *output) begin() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.tail, o.cut, o.over = nil, false, false
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	o.tail = append(o.tail, p...)
	if len(o.tail) > 2*maxTail {
		o.tail = bytes.Clone(o.tail[len(o.tail)-maxTail:])
		o.cut = true
	}
	for r := range o.readers {
		r.add(p)
	}
	o.mu.Unlock()
	if o.log != nil {
		o.log.Write(p)
	}
	return len(p), nil
}

// end ends the readers that follow.
func (o *output) end() {
	o.mu.Lock()
	o.over = true
	for r := range o.readers {
		r.end()
	}
	o.readers = nil
	o.mu.Unlock()
	if o.log != nil {
		o.log.EndLine()
	}
}

func (o *output) note(format string, args ...any) {
	if o.log != nil {
		o.log.Note(format, args...)
	}
}

func (o *output) close() {
	if o.log != nil {
		o.log.Close()
	}
}

// last returns the last lines.
func (o *output) last() (lines []string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	all := bytes.Split(bytes.TrimSuffix(o.tail, []byte("\n")), []byte("\n"))
	if o.cut {
		all = all[1:]
	}
	if len(o.tail) == 0 {
		return nil
	}
	for _, line := range all[max(0, len(all)-lastLines):] {
		line = bytes.TrimSuffix(line, []byte("\r"))
		lines = append(lines, string(line[:min(len(line), maxLine)]))
	}
	return lines
}

// reader reads the output of a process.
type reader struct {
	ctx   context.Context
	leave func()

	mu      sync.Mutex
	waiting []byte
	over    bool
	wake    chan struct{} // has one place
}

func (o *output) read(ctx context.Context, follow bool) io.ReadCloser {
	o.mu.Lock()
	defer o.mu.Unlock()
	r := &reader{ctx: ctx, waiting: bytes.Clone(o.tail), over: o.over || !follow,
		wake: make(chan struct{}, 1)}
	if !r.over {
		if o.readers == nil {
			o.readers = map[*reader]struct{}{}
		}
		o.readers[r] = struct{}{}
	}
	r.leave = func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		delete(o.readers, r)
		r.end()
	}
	return r
}

func (r *reader) add(p []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.waiting) < maxBehind {
		r.waiting = append(r.waiting, p...)
	}
	r.poke()
}

func (r *reader) end() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.over = true
	r.poke()
}

func (r *reader) poke() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

func (r *reader) Read(p []byte) (int, error) {
	for {
		r.mu.Lock()
		n := copy(p, r.waiting)
		r.waiting = r.waiting[n:]
		over := r.over || r.ctx.Err() != nil
		r.mu.Unlock()
		if n > 0 || len(p) == 0 {
			return n, nil
		}
		if over {
			return 0, io.EOF
		}
		select {
		case <-r.wake:
		case <-r.ctx.Done():
		}
	}
}

func (r *reader) Close() error {
	r.leave()
	return nil
}
