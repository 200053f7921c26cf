package runtime

import (
	"context"
	"sync"
)

// handover is how another server takes over the apps. The loop of each app finishes its deploy and
// what it is stopping. Then it parks: it does nothing until the other server has failed, or this one
// leaves. The zero value is ready.
type handover struct {
	mu      sync.Mutex
	begun   chan struct{} // closed while one is under way; nil: not made yet
	over    chan struct{} // closed when it was given up
	running bool          // all loops have been started
	loops   int
	parked  int
	changed chan struct{} // closed when loops or parked change; nil: nobody waits
	left    bool
}

// signals returns a channel that is closed while a handover is under way, and one that closes when it
// is given up.
func (h *handover) signals() (begun, over <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.begun == nil {
		h.begun, h.over = make(chan struct{}), make(chan struct{})
	}
	return h.begun, h.over
}

// started notes that all loops have been started.
func (h *handover) started() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.running = true
	h.change()
}

// count adds loops and parked ones.
func (h *handover) count(loops, parked int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.loops += loops
	h.parked += parked
	h.change()
}

func (h *handover) change() {
	if h.changed != nil {
		close(h.changed)
		h.changed = nil
	}
}

// idle reports whether all loops are parked. If not, changed closes when that may be so.
func (h *handover) idle() (idle bool, changed <-chan struct{}) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.changed == nil {
		h.changed = make(chan struct{})
	}
	return h.running && h.parked == h.loops, h.changed
}

// stays reports whether this server still has to record what happens. While another server takes over
// it blocks until that has failed, or ctx ends; then the other one does.
func (h *handover) stays(ctx context.Context) bool {
	begun, over := h.signals()
	if !isClosed(begun) {
		return true
	}
	select {
	case <-over:
		return true
	case <-ctx.Done():
		return false
	}
}

// hasLeft reports whether another server has the apps.
func (h *handover) hasLeft() bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.left
}

// Free takes up no further deploy, finishes those that run, and blocks until nothing of the apps
// changes any more, or ctx ends. Run must have been called, or be called soon. Processes go on, and requests reach them. [Runtime.Resume] or
// [Runtime.Leave] follows.
func (rt *Runtime) Free(ctx context.Context) {
	h := &rt.handover
	begun, _ := h.signals()
	h.mu.Lock()
	if !isClosed(begun) {
		close(h.begun)
	}
	h.mu.Unlock()
	for {
		idle, changed := h.idle()
		if idle {
			return
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// Resume goes on after [Runtime.Free].
func (rt *Runtime) Resume() {
	h := &rt.handover
	h.signals()
	h.mu.Lock()
	defer h.mu.Unlock()
	close(h.over)
	h.begun, h.over = make(chan struct{}), make(chan struct{})
}

// Leave lets Run leave all processes to another server when its ctx ends.
func (rt *Runtime) Leave() {
	rt.handover.mu.Lock()
	defer rt.handover.mu.Unlock()
	rt.handover.left = true
}

// park blocks while another server takes over, unless the app is in the middle of something.
func (a *appLoop) park(ctx context.Context) {
	begun, over := a.rt.handover.signals()
	if !isClosed(begun) || a.busy() {
		return
	}
	a.rt.handover.count(0, 1)
	defer a.rt.handover.count(0, -1)
	select {
	case <-over:
		a.poke()
	case <-ctx.Done():
	}
}

// busy reports whether the app is in the middle of something that only this server can finish.
func (a *appLoop) busy() bool {
	if a.deploying != nil || len(a.leaving) > 0 {
		return true
	}
	if a.live != nil {
		for _, m := range a.live.members {
			if m.next != nil {
				return true
			}
		}
	}
	return false
}

// leaveAll leaves the app as it is to another server.
func (a *appLoop) leaveAll() {
	close(a.ended)
	a.crontab.letGo()
	a.sleeper.stop()
}
