package watch

import "time"

const (
	short       = 10 * time.Millisecond // quiet after a save; an editor's writes are closer together
	few         = 3                     // paths of a save: the file, its temporary one, its backup
	rewriting   = 2 * time.Second       // for so long the same files may be written again and again
	longest     = 30 * time.Second      // no burst and no update takes longer, whatever happens
	justStarted = time.Second           // after a start, changes are taken for more of the same
)

// burst decides when a run of changes is over. A save, which is at most [few] paths, is over after
// [short] without another event. More than that is a checkout, a build or a person's "save all":
// over when nothing happened for delay, for its writes may come with pauses. The same holds where
// something else speaks for more to come ([burst.expectMore]): files that are new, a command that was
// started only just now. A checkout of any length is one burst, as each file is new to
// it; but files that are written again and again, such as a log, do not hold it for more than
// [rewriting]; and nothing holds it for more than [longest].
//
// It keeps no clock: all times are the caller's.
type burst struct {
	delay              time.Duration
	begun, fresh, last time.Time // the first event, the last with a new path, the last of all
	paths              int
	more               bool
}

// pending says whether there was an event since the last reset.
func (b *burst) pending() bool { return !b.begun.IsZero() }

// add is one event; fresh says that its path is new to this burst.
func (b *burst) add(now time.Time, fresh bool) {
	if !b.pending() {
		b.begun = now
	}
	b.last = now
	if fresh || b.fresh.IsZero() {
		b.fresh = now
		b.paths++
	}
}

// expectMore makes the burst wait for delay, however few its paths.
func (b *burst) expectMore() { b.more = true }

// brief says whether the burst is taken for a save.
func (b *burst) brief() bool { return b.paths <= few && !b.more }

// due is when the burst is over should nothing more come. It needs to be pending.
func (b *burst) due() time.Time {
	quiet := b.delay
	if b.brief() {
		quiet = min(short, b.delay)
	}
	due := b.last.Add(quiet)
	for _, limit := range []time.Time{b.fresh.Add(max(rewriting, quiet)), b.begun.Add(max(longest, quiet))} {
		if limit.Before(due) {
			due = limit
		}
	}
	return due
}

func (b *burst) reset() { *b = burst{delay: b.delay} }
