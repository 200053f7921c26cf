package sidecar

import (
	"sync"
	"time"
)

// duty knows whether a follower does what it should: look when a look is due.
type duty struct {
	mu      sync.Mutex
	due     time.Time     // of the next look; zero: not begun
	period  time.Duration // in which it comes round
	working int           // on what has deadlines of its own: syncing, announcing
}

// expect says that the next look is due in wait.
func (d *duty) expect(wait, every time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.due, d.period = time.Now().Add(wait), max(wait, every)
}

// busy says that looking has to wait, until done is called.
func (d *duty) busy() (done func()) {
	d.add(1)
	return func() { d.add(-1) }
}

func (d *duty) add(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.working += n
}

// late says whether the source was not looked at within three periods and the time a look may take.
func (d *duty) late(now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.working == 0 && !d.due.IsZero() && now.After(d.due.Add(2*d.period+lookTimeout))
}
