package runtime

import (
	"errors"
	"syscall"
	"time"

	"paas/volume"
)

// retryEvery is the time between two attempts to write a file that could not be written.
const retryEvery = time.Second

// retry repeats a failed write to the volume: once a second until the disk takes it, however often
// the app looks in between. It logs each reason once. It belongs to the app's goroutine.
type retry struct {
	home  *home
	doing string // for the log: "write processes.json"

	next  time.Time // of the next attempt; zero: the last one succeeded
	timer *time.Timer
}

// pending reports whether the last attempt failed.
func (r *retry) pending() bool { return !r.next.IsZero() }

// early reports whether the last attempt failed less than a second ago.
func (r *retry) early() bool { return r.pending() && time.Now().Before(r.next) }

// due reports whether it is time for another attempt.
func (r *retry) due() bool { return r.pending() && !r.early() }

// ended takes the result of an attempt. After a failure it wakes the app in a second.
func (r *retry) ended(err error) {
	h := r.home
	if err == nil || !h.there() {
		r.next = time.Time{}
		h.works(r.doing)
		return
	}
	h.complain(r.doing, err)
	r.next = time.Now().Add(retryEvery)
	if r.timer == nil {
		r.timer = time.AfterFunc(retryEvery, h.poke)
	} else {
		r.timer.Reset(retryEvery)
	}
}

// reasonOf is err without the paths of temporary files, which differ each time.
func reasonOf(err error) string {
	var number syscall.Errno
	if errors.As(err, &number) && !volume.IsDamage(err) {
		return number.Error()
	}
	return err.Error()
}
