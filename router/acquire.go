package router

import (
	"context"
	"errors"
	"time"
)

// Reasons why a request reached no backend. Each has its own page.
var (
	errUnknown     = errors.New("no such app")
	errDown        = errors.New("app is down")
	errHoldFull    = errors.New("too many requests are waiting for the app")
	errHoldTimeout = errors.New("no live process within the hold time")
	errStopping    = errors.New("router is stopping")
)

// Delay between attempts to connect to an address that refuses, doubling from min to max. The
// runtime may be restarting the process at the same address without calling Set.
const (
	minRedialDelay = 25 * time.Millisecond
	maxRedialDelay = time.Second
)

// acquire counts x as in flight at one of the app's backends. While there is none it waits, within
// HoldMax, until one appears, the state becomes Down, the hold time is over or ctx ends. It wakes a
// sleeping app. refused reports that a backend has just refused x a connection; acquire then
// prefers other backends, and waits a moment before it returns one that refuses connections.
func (a *app) acquire(ctx context.Context, x *exchange, refused bool) error {
	for !refused {
		b := a.live.Load().choose(x.avoid)
		if b == nil {
			break
		}
		if x.acquire(b) {
			return nil
		} // else it was retired in the meantime, and live has been replaced
	}
	r := x.router
	if x.waitingSince.IsZero() {
		x.waitingSince = time.Now()
		x.holdUntil = x.waitingSince.Add(r.HoldTimeout)
		x.redialDelay = minRedialDelay
	}
	defer func() { x.waited = time.Since(x.waitingSince) }()
	timeout := time.NewTimer(time.Until(x.holdUntil))
	defer timeout.Stop()
	halfClosed := x.watchForHangup()
	var halfClosedUntil time.Time
	var redial <-chan time.Time // fires when refusing backends are worth another attempt
	if refused {
		t := time.NewTimer(x.redialDelay)
		defer t.Stop()
		redial = t.C
		x.redialDelay = min(2*x.redialDelay, maxRedialDelay)
	}

	a.mu.Lock()
	defer a.mu.Unlock()
	counted := false
	for {
		b := a.live.Load().choose(x.avoid)
		switch {
		case a.removed:
			return errUnknown
		case b != nil && !(refused && b.pool.refusedSince() > 0) && x.acquire(b):
			return nil
		case b == nil && a.route.State == Down:
			return errDown
		case !counted && a.waiting >= r.HoldMax:
			return errHoldFull
		}
		if !counted {
			counted = true
			a.waiting++
			defer func() { a.waiting-- }() // runs before Unlock
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
			x.holdUntil = x.waitingSince.Add(r.WakeTimeout)
			timeout.Reset(time.Until(x.holdUntil))
		}
		if !halfClosedUntil.IsZero() && halfClosedUntil.Before(x.holdUntil) {
			timeout.Reset(time.Until(halfClosedUntil))
		}
		a.mu.Unlock()
		if wake && r.Wake != nil {
			r.Wake(a.name)
		}
		var err error
		select {
		case <-changed:
		case <-redial:
			refused = false
		case <-halfClosed: // the client may be gone, or may still read the response
			halfClosed = nil
			halfClosedUntil = time.Now().Add(r.HalfCloseTimeout)
		case <-timeout.C:
			err = errHoldTimeout
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
