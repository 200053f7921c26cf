package health

import (
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"paas/pause"
)

// Subject is the process to check.
type Subject interface {
	Name() string // "web.1", for people
	Addr() string // where it should listen; empty: nowhere
	Done() <-chan struct{}
	Err() error // valid after Done

	// Dial connects to the process at port, or at its own address if port is 0. It returns an error if
	// another program listens there.
	Dial(ctx context.Context, port int) (net.Conn, error)

	// Run runs a command beside the process, in its environment, until it or ctx ends.
	Run(ctx context.Context, argv []string) error
}

// Await blocks until s is healthy, has ended, or has taken too long. It first waits for the port of
// s, if it has one, then for each startup check among checks, with an attempt every few
// milliseconds. boot is the time for the port; 0: 60 s. The error is meant for the app's owner.
func Await(ctx context.Context, s Subject, checks []Check, boot time.Duration) error {
	err := awaitAll(ctx, s, checks, boot)
	switch {
	case errors.Is(err, errEnded) && s.Err() == nil && s.Addr() != "":
		return fmt.Errorf("%s: ended, with status 0, before it listened on $PORT: "+
			"it must stay in the foreground", s.Name())
	case errors.Is(err, errEnded) && s.Err() == nil:
		return fmt.Errorf("%s: ended, with status 0", s.Name())
	case errors.Is(err, errEnded):
		return fmt.Errorf("%s: %w", s.Name(), s.Err())
	case errors.Is(err, errSilent):
		return fmt.Errorf("%s %w%s", s.Name(), err, elsewhere(s))
	}
	return err
}

var (
	errEnded  = errors.New("ended before it was healthy")
	errSilent = errors.New("did not listen on $PORT")

	errElsewhere = errors.New("listens elsewhere") // ends a retry
)

func awaitAll(ctx context.Context, s Subject, checks []Check, boot time.Duration) error {
	began := time.Now()
	if s.Addr() != "" {
		if err := awaitPort(ctx, s, checks, (Check{Boot: boot}).withDefaults().Boot); err != nil {
			return err
		}
	}
	for _, c := range checks {
		if c.Type != "" && c.Type != Startup {
			continue
		}
		if err := c.await(ctx, s, began); err != nil {
			return err
		}
	}
	return nil
}

func awaitPort(ctx context.Context, s Subject, checks []Check, patience time.Duration) error {
	_, port, _ := net.SplitHostPort(s.Addr())
	other := &otherPort{own: port, checks: checks, next: time.Now().Add(lookEvery)}
	err := retry(ctx, s.Done(), patience, 1, func() error {
		err := dial(ctx, s, 0)
		if err != nil && other.settled(ctx, s) {
			return errElsewhere
		}
		return err
	})
	if late, ok := errors.AsType[*lateError](err); ok && late != nil {
		return fmt.Errorf("%w (%s) within %s", errSilent, port, patience)
	}
	if err == errElsewhere {
		return fmt.Errorf("%w (%s)", errSilent, port)
	}
	return err
}

func dial(ctx context.Context, s Subject, port int) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	conn, err := s.Dial(ctx, port)
	if err == nil {
		conn.Close()
	}
	return err
}

// await makes one startup check of a process that started at began.
func (c Check) await(ctx context.Context, s Subject, began time.Time) error {
	c = c.withDefaults()
	if pause := max(c.Delay, c.Uptime-time.Since(began)); pause > 0 {
		if err := sleep(ctx, s.Done(), pause); err != nil {
			return err
		}
	}
	if !c.asks(s) {
		return nil
	}
	ask := c.asker(s)
	since := time.Now()
	err := retry(ctx, s.Done(), time.Duration(c.Attempts)*c.Wait, c.Attempts,
		func() error { return ask(ctx) })
	late, ok := errors.AsType[*lateError](err)
	switch {
	case ok:
		return fmt.Errorf("%s: %w, for %s", c.place(s), late.last,
			time.Since(since).Round(100*time.Millisecond))
	}
	return err
}

// place returns the beginning of a failed check's error: "web: GET /health".
func (c Check) place(s Subject) string {
	if c.Name != "" {
		return s.Name() + ": " + c.Name
	}
	return s.Name()
}

// asks reports whether the check does more than look whether the process runs.
func (c Check) asks(s Subject) bool {
	return len(c.Command) > 0 || c.Port != 0 || s.Addr() != "" && (c.Path != "" || c.Uptime == 0)
}

// lateError is the error of the last attempt of [retry].
type lateError struct{ last error }

func (e *lateError) Error() string { return e.last.Error() }

// retry calls try until it succeeds or returns errElsewhere, first after 1 ms and then less and less often, so that it
// wastes at most a sixteenth of the time and at most 50 ms. It returns a *lateError once patience
// is over and it has tried often enough.
func retry(
	ctx context.Context, exited <-chan struct{}, patience time.Duration, times int, try func() error,
) error {
	began := time.Now()
	for {
		err := try()
		if err == nil || err == errElsewhere {
			return err
		}
		times--
		if times <= 0 && time.Since(began) >= patience {
			return &lateError{err}
		}
		if err := sleep(ctx, exited, min(max(time.Since(began)/32, time.Millisecond),
			50*time.Millisecond)); err != nil {
			return err
		}
	}
}

func sleep(ctx context.Context, exited <-chan struct{}, d time.Duration) error {
	err := pause.For(ctx, d, exited)
	if err == pause.ErrDone {
		err = errEnded
	}
	return err
}
