package runtime

import (
	"io"
	"sync"

	"paas/logs"
)

// tee is where a process's output goes: always to its log, and while it boots to the pusher too.
type tee struct {
	mu    sync.Mutex
	file  *logs.File
	shown io.Writer
}

// show adds w, or with nil ends showing; nothing is written to the w before once it returns.
func (o *tee) show(w io.Writer) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.shown = w
}

func (o *tee) Write(p []byte) (int, error) {
	o.mu.Lock()
	if o.shown != nil {
		o.shown.Write(p)
	}
	o.mu.Unlock()
	return o.file.Write(p)
}
