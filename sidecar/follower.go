package sidecar

import (
	"context"
	"errors"
	"io"
	"time"

	"paas/remote"
	"paas/volume"
)

const (
	lookTimeout = 30 * time.Second // for a Remote that has no deadline of its own
	busyAgain   = 5 * time.Second  // after which a source that somebody else syncs is looked at again
)

// follower follows the source of one app, in one goroutine.
type follower struct {
	*Sidecar
	subject // app and source ID stay; changed under Sidecar.mu
	stop    context.CancelFunc
	stopped bool // guarded by Sidecar.mu
	done    chan struct{}

	settings bell // they may have changed
	asked    bell // somebody wants a look now

	// Of its goroutine alone.
	looked   volume.SourceStatus // as on the volume, for all we know
	since    time.Time           // when the first of the failures in a row began; zero: the last look went well
	away     *outage             // of its host; nil: that was reached
	answered bool                // the next look is due because the host answers again
	last     time.Time           // when the last look began
	said     string              // the trouble the log speaks of; empty: none

	meter meter
	duty  duty
}

func newFollower(s *Sidecar, u subject) *follower {
	return &follower{Sidecar: s, subject: u, done: make(chan struct{}), settings: newBell(), asked: newBell()}
}

func (f *follower) ended() bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}

// run follows until ctx ends. It begins when before, if there was one, has ended.
func (f *follower) run(ctx context.Context, before *follower, first phase) {
	defer close(f.done)
	if before != nil {
		select {
		case <-before.done:
		case <-ctx.Done():
			return
		}
	}
	defer func() { f.away.leave() }()
	f.recall()
	wait := first.wait(f.source.Every, roll())
	timer := time.NewTimer(wait)
	defer timer.Stop()
	for {
		f.duty.expect(wait, f.source.Every)
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		case <-f.settings:
			if !f.reread() {
				continue
			}
			f.since = time.Time{}
		case <-f.away.isOver():
			wait, f.answered = f.away.turn(), true
			f.waitFor(nil)
			timer.Reset(wait)
			continue
		case <-f.asked:
			if early := f.calm - time.Since(f.last); early > 0 {
				wait = early
				timer.Reset(wait)
				continue
			}
		}
		wait = f.look(ctx)
		timer.Reset(wait)
	}
}

// recall reads what is known of the source.
func (f *follower) recall() {
	looked, err := f.app.SourceStatus()
	if err != nil {
		f.Log.Error("what is known of the source is not read", "app", f.app.Name, "err", err)
	}
	f.looked = looked // or nothing: then it is found out again
}

// reread takes over what has changed on the volume, and says whether that calls for a look.
func (f *follower) reread() bool {
	now, err := f.subjectOf(f.app.Name)
	if err != nil || now == nil || !now.same(f.subject) { // Run sees it too, and acts
		return false
	}
	f.recall()
	if now.equal(f.subject) {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.subject = *now
	return true
}

// look looks at the source, has deployed what is new, and returns how long to wait until the next
// look.
func (f *follower) look(ctx context.Context) time.Duration {
	f.last = time.Now()
	done, err := f.follow(ctx)
	f.awaitHost(ctx, err)
	switch {
	case ctx.Err() != nil || errors.Is(err, errChanged) || errors.Is(err, volume.ErrNoApp):
		// Run has ended this follower, or is about to.
	case errors.Is(err, errBusy):
		return min(f.source.Every, busyAgain)
	case err != nil:
		if f.since.IsZero() {
			f.since = f.last
		}
		f.trouble(oneLine(err))
	default:
		f.since = time.Time{}
		f.meter.succeeded(time.Now())
		f.well()
	}
	if done.deed == live {
		defer f.duty.busy()()
		f.announce(ctx, f.app, done.release)
	}
	return untilNext(f.source.Every, f.down(), roll())
}

// down is for how long the source has been in trouble.
func (f *follower) down() time.Duration {
	if f.since.IsZero() {
		return 0
	}
	return time.Since(f.since)
}

// awaitHost has the follower told when its host answers again, if the look ended with err because it
// does not. If the host had answered a probe just before, a probe proves nothing, and the follower is
// not told.
func (f *follower) awaitHost(ctx context.Context, err error) {
	answered := f.answered
	f.answered = false
	if err == nil || answered || !remote.Unreachable(err) || ctx.Err() != nil {
		f.waitFor(nil)
		return
	}
	since := f.since
	if since.IsZero() {
		since = f.last
	}
	f.waitFor(f.outages.join(ctx, remote.HostPort(f.source.URL), since))
}

// waitFor has the follower wait for the end of next, or of none, and of no other outage.
func (f *follower) waitFor(next *outage) {
	f.away, next = next, f.away
	next.leave()
}

// follow looks once, and syncs where there is something to do.
func (f *follower) follow(ctx context.Context) (outcome, error) {
	head, err := f.head(ctx)
	if err != nil {
		return outcome{}, err
	}
	if head.Commit == f.looked.Commit && f.looked.Error == "" {
		f.app.TouchSourceStatus()
		return outcome{}, nil
	}
	defer f.duty.busy()()
	unproven := !f.since.IsZero() || f.looked.Commit == "" // what was never fetched may hang, too
	leave, err := f.syncs.take(ctx, unproven)
	if err != nil {
		return outcome{}, err
	}
	defer leave()
	began := time.Now()
	done, err := attempt{Sidecar: f.Sidecar, subject: f.subject, by: "sidecar", who: "the sidecar", leave: leave, out: io.Discard}.run(ctx, head)
	if err == nil {
		f.looked = done.looked
	}
	if ctx.Err() == nil && !errors.Is(err, errBusy) && !errors.Is(err, errChanged) { // those are no attempts
		f.meter.synced(done.deed, err, time.Since(began))
	}
	return done, err
}

// head asks where the source's branch is.
func (f *follower) head(ctx context.Context) (remote.Head, error) {
	leave, err := f.looks.take(ctx, !f.since.IsZero())
	if err != nil {
		return remote.Head{}, err
	}
	defer leave()
	began := time.Now()
	head, err := f.ask(ctx, f.subject)
	f.meter.looked(err, time.Since(began))
	return head, err
}

// ask asks where the subject's branch is, within the time a look may take.
func (s *Sidecar) ask(ctx context.Context, u subject) (remote.Head, error) {
	if u.unread != nil {
		return remote.Head{}, u.unread
	}
	ctx, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	return s.Remote.Head(ctx, u.remote, u.source.Branch)
}
