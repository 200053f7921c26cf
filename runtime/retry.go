package runtime

import (
	"errors"
	"syscall"
	"time"

	"paas/volume"
)

// retryEvery is the time between two attempts to write a file that could not be written.
const retryEvery = time.Second

// retry repeats a failed write to the volume once a second until it succeeds, however often the app
// reconciles in between. It logs each reason once. It is for the app's goroutine.
type retry struct {
	loop  *appLoop
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

// ended notes the result of an attempt. After a failure the app reconciles again in a second.
func (r *retry) ended(err error) {
	a := r.loop
	if err == nil || !a.there() {
		r.next = time.Time{}
		a.works(r.doing)
		return
	}
	a.complain(r.doing, err)
	r.next = time.Now().Add(retryEvery)
	if r.timer == nil {
		r.timer = time.AfterFunc(retryEvery, a.poke)
	} else {
		r.timer.Reset(retryEvery)
	}
}

// reasonOf returns err without the paths of temporary files, which differ each time.
func reasonOf(err error) string {
	var number syscall.Errno
	if errors.As(err, &number) && !volume.IsDamage(err) {
		return number.Error()
	}
	return err.Error()
}
