package sidecar

import (
	"sync"
	"time"
)

// duty records whether a follower polls when it should.
type duty struct {
	mu      sync.Mutex
	due     time.Time     // of the next poll; zero: not begun
	period  time.Duration // interval between polls
	working int           // on things with deadlines of their own: syncing, announcing
}

// expect records that the next poll is due in wait.
func (d *duty) expect(wait, every time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.due, d.period = time.Now().Add(wait), max(wait, every)
}

// busy records that polling has to wait until done is called.
func (d *duty) busy() (done func()) {
	d.add(1)
	return func() { d.add(-1) }
}

func (d *duty) add(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.working += n
}

// late reports whether the source was not polled within three intervals and the time that a poll
// may take.
func (d *duty) late(now time.Time) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.working == 0 && !d.due.IsZero() && now.After(d.due.Add(2*d.period+pollTimeout))
}
