package watch

import "time"

const (
	// quiet time after a save; an editor's writes are closer together
	saveQuiet     = 10 * time.Millisecond
	maxSavePaths  = 3                // paths of a save: the file, a temporary one, a backup
	maxRewriting  = 2 * time.Second  // how long the same files may be written again and again
	maxBurst      = 30 * time.Second // maximum length of a burst and of an update
	startupPeriod = time.Second      // after a start, more changes are likely to follow
)

// burst decides when a series of changes is over. A save, which is at most [maxSavePaths] paths, is
// over after [saveQuiet] without an event. Anything larger is a checkout, a build or "save all",
// whose writes may pause: it is over when nothing has happened for delay. The same holds if more
// changes are likely ([burst.expectMore]): there are new files, or the command has just started. A
// checkout of any length is one burst, because each path is new to it. But files that are written
// repeatedly, such as logs, extend a burst by [maxRewriting] only, and no burst is longer than
// [maxBurst].
//
// It has no clock: the caller passes all times.
type burst struct {
	delay                time.Duration
	first, lastNew, last time.Time // the first event, the last with a new path, the last of all
	paths                int
	expectsMore          bool
}

// pending reports whether there was an event since the last reset.
func (b *burst) pending() bool { return !b.first.IsZero() }

// add adds an event. fresh reports whether its path is new to the burst.
func (b *burst) add(now time.Time, fresh bool) {
	if !b.pending() {
		b.first = now
	}
	b.last = now
	if fresh || b.lastNew.IsZero() {
		b.lastNew = now
		b.paths++
	}
}

// expectMore makes the burst wait for delay even if it looks like a save.
func (b *burst) expectMore() { b.expectsMore = true }

// isSave reports whether the burst looks like a save.
func (b *burst) isSave() bool { return b.paths <= maxSavePaths && !b.expectsMore }

// due returns when the burst is over if there are no more events. The burst must be pending.
func (b *burst) due() time.Time {
	quiet := b.delay
	if b.isSave() {
		quiet = min(saveQuiet, b.delay)
	}
	due := b.last.Add(quiet)
	for _, limit := range []time.Time{b.lastNew.Add(max(maxRewriting, quiet)),
		b.first.Add(max(maxBurst, quiet))} {
		if limit.Before(due) {
			due = limit
		}
	}
	return due
}

func (b *burst) reset() { *b = burst{delay: b.delay} }
