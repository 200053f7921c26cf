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
	pollTimeout = 30 * time.Second // for a Remote without a deadline of its own
	busyAgain   = 5 * time.Second  // after which a source that somebody else syncs is polled again
)

// follower follows the source of one app, in one goroutine.
type follower struct {
	*Sidecar
	subject // app and source ID never change; the rest does under Sidecar.mu
	stop    context.CancelFunc
	stopped bool // guarded by Sidecar.mu
	done    chan struct{}

	settings bell // they may have changed
	asked    bell // somebody wants a poll now

	// Only its goroutine uses these.
	known volume.SourceStatus // as last read from or written to the volume
	// since is when the first of the failures in a row began; zero: the last poll succeeded.
	since    time.Time
	away     *outage   // of its host; nil: the host was reached
	answered bool      // the next poll is due because the host answers again
	last     time.Time // when the last poll began
	said     string    // the trouble that was last logged; empty: none

	meter meter
	duty  duty
}

func newFollower(s *Sidecar, u subject) *follower {
	return &follower{
		Sidecar:  s,
		subject:  u,
		done:     make(chan struct{}),
		settings: newBell(),
		asked:    newBell(),
	}
}

func (f *follower) ended() bool {
	select {
	case <-f.done:
		return true
	default:
		return false
	}
}

// run follows the source until ctx ends. It begins when before, if not nil, has ended.
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
			if early := f.minPause - time.Since(f.last); early > 0 {
				wait = early
				timer.Reset(wait)
				continue
			}
		}
		wait = f.poll(ctx)
		timer.Reset(wait)
	}
}

// recall reads what is known about the source.
func (f *follower) recall() {
	looked, err := f.app.SourceStatus()
	if err != nil {
		f.Log.Error("source status not read", "app", f.app.Name, "err", err)
	}
	f.known = looked // with an error it is empty, and found out again
}

// reread reads what has changed on the volume, and reports whether that needs a poll.
func (f *follower) reread() bool {
	now, err := f.subjectOf(f.app.Name)
	if err != nil || now == nil || !now.same(f.subject) { // Run finds out too, and acts
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

// poll polls the source, deploys a new commit, and returns how long to wait until the next poll.
func (f *follower) poll(ctx context.Context) time.Duration {
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
		f.trouble(f.withAdvice(oneLine(err), volume.RemedyOf(err)))
	default:
		f.since = time.Time{}
		f.meter.succeeded(time.Now())
		f.well()
	}
	if done.result == live {
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

// awaitHost makes the follower wait for its host, if the poll ended with err because the host did
// not answer. If the host had answered a probe just before, probes prove nothing, and the follower
// does not wait.
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

// waitFor makes the follower wait for the end of next, and of no other outage; nil: of none.
func (f *follower) waitFor(next *outage) {
	f.away, next = next, f.away
	next.leave()
}

// follow polls once, and syncs if there is something to do.
func (f *follower) follow(ctx context.Context) (outcome, error) {
	head, err := f.head(ctx)
	if err != nil {
		return outcome{}, err
	}
	if head.Commit == f.known.Commit && f.known.Error == "" {
		f.app.TouchSourceStatus()
		return outcome{}, nil
	}
	defer f.duty.busy()()
	// a source that was never fetched may hang too
	unproven := !f.since.IsZero() || f.known.Commit == ""
	leave, err := f.syncs.take(ctx, unproven)
	if err != nil {
		return outcome{}, err
	}
	defer leave()
	began := time.Now()
	done, err := attempt{
		Sidecar: f.Sidecar,
		subject: f.subject,
		by:      "sidecar",
		who:     "the sidecar",
		leave:   leave,
		out:     io.Discard,
	}.run(ctx, head)
	if err == nil {
		f.known = done.source
	}
	// these are not attempts
	if ctx.Err() == nil && !errors.Is(err, errBusy) && !errors.Is(err, errChanged) {
		f.meter.synced(done.result, err, time.Since(began))
	}
	return done, err
}

// head asks which commit the source points at.
func (f *follower) head(ctx context.Context) (remote.Head, error) {
	leave, err := f.polls.take(ctx, !f.since.IsZero())
	if err != nil {
		return remote.Head{}, err
	}
	defer leave()
	began := time.Now()
	head, err := f.ask(ctx, f.subject)
	f.meter.polled(err, time.Since(began))
	return head, err
}

// ask asks which commit the subject's source points at, within the time that a poll may take.
func (s *Sidecar) ask(ctx context.Context, u subject) (remote.Head, error) {
	if u.unread != nil {
		return remote.Head{}, u.unread
	}
	ctx, cancel := context.WithTimeout(ctx, pollTimeout)
	defer cancel()
	return s.Remote.Head(ctx, u.remote, u.ref())
}
