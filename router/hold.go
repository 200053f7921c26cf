package router

import (
	"context"
	"errors"
	"time"
)

// Why a request was not sent to a process; each has its page.
var (
	errUnknown  = errors.New("no such app")
	errDown     = errors.New("app is down")
	errHoldFull = errors.New("too many requests are waiting for the app")
	errHoldOver = errors.New("no live process in time")
	errStopping = errors.New("router is stopping")
)

// How often a request tries an address that nobody listens at, from first to last. The runtime
// may be restarting the process at the same address, and says nothing then.
const (
	firstRedial = 25 * time.Millisecond
	lastRedial  = time.Second
)

// enter counts x among those that use one of the app's live processes. Where there is none it waits,
// counted against HoldMax, until there is, the state is Down, the hold deadline or ctx ends. An app that
// is asleep is woken.
// refused: nobody listened where x was sent, so only one that takes connections will do for a moment.
func (a *app) enter(ctx context.Context, x *exchange, refused bool) error {
	for !refused {
		i := a.live.Load().choose(x.stale)
		if i == nil {
			break
		}
		if x.enter(i) {
			return nil
		} // else it left after it was chosen; live has been replaced
	}
	r := x.router
	if x.heldSince.IsZero() {
		x.heldSince = time.Now()
		x.holdUntil = x.heldSince.Add(r.HoldTimeout)
		x.redial = firstRedial
	}
	over := time.NewTimer(time.Until(x.holdUntil))
	defer over.Stop()
	left := x.beginWatch()
	var leftUntil time.Time
	var again <-chan time.Time // fires when those that refused are worth another try
	if refused {
		t := time.NewTimer(x.redial)
		defer t.Stop()
		again = t.C
		x.redial = min(2*x.redial, lastRedial)
	}

	a.mu.Lock()
	defer a.mu.Unlock()
	counted := false
	for {
		i := a.live.Load().choose(x.stale)
		switch {
		case a.removed:
			return errUnknown
		case i != nil && !(refused && i.up.awaySince() > 0) && x.enter(i):
			return nil
		case i == nil && a.route.State == Down:
			return errDown
		case !counted && a.held >= r.HoldMax:
			return errHoldFull
		}
		if !counted {
			counted = true
			a.held++
			defer func() { a.held-- }() // before Unlock: deferred later
		}
		if a.changed == nil {
			a.changed = make(chan struct{})
		}
		changed := a.changed
		wake := a.route.State == Asleep
		if wake {
			a.route.State, a.waking = Starting, true
		}
		if a.waking {
			x.holdUntil = x.heldSince.Add(r.WakeTimeout)
			over.Reset(time.Until(x.holdUntil))
		}
		if !leftUntil.IsZero() && leftUntil.Before(x.holdUntil) {
			over.Reset(time.Until(leftUntil))
		}
		a.mu.Unlock()
		if wake && r.Wake != nil {
			r.Wake(a.name)
		}
		var err error
		select {
		case <-changed:
		case <-again:
			refused = false
		case <-left: // or only waits for the answer
			left = nil
			leftUntil = time.Now().Add(r.HalfCloseTimeout)
		case <-over.C:
			err = errHoldOver
		case <-ctx.Done():
			err = ctx.Err()
		case <-r.stopping:
			err = errStopping
		}
		a.mu.Lock()
		if err != nil {
			return err
		}
	}
}
