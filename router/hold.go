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

// enter counts x among those that use the app's live process. Where there is none it waits,
// counted against HoldMax, until there is, the state is Down, the hold deadline or ctx ends.
// refused is the instance whose address nobody listens at: it waits for another, or a moment.
func (a *app) enter(ctx context.Context, x *exchange, refused *instance) error {
	if refused == nil && x.enter(a.live.Load()) {
		return nil
	}
	r := x.router
	if x.holdUntil.IsZero() {
		x.holdUntil = time.Now().Add(r.HoldTimeout)
		x.redial = firstRedial
	}
	over := time.NewTimer(time.Until(x.holdUntil))
	defer over.Stop()
	var again <-chan time.Time // fires when the refused address is worth another try
	if refused != nil {
		t := time.NewTimer(x.redial)
		defer t.Stop()
		again = t.C
		x.redial = min(2*x.redial, lastRedial)
	}

	a.mu.Lock()
	defer a.mu.Unlock()
	counted := false
	for {
		live := a.live.Load()
		switch {
		case a.removed:
			return errUnknown
		case live != nil && live != refused && x.enter(live):
			return nil
		case live == nil && a.route.State == Down:
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
		a.mu.Unlock()
		var err error
		select {
		case <-changed:
		case <-again:
			refused = nil
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
