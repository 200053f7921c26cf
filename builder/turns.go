package builder

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"time"

	"paas/say"
)

// turns lets a few builds at a time run commands. The others wait in order.
type turns struct {
	mu      sync.Mutex
	running []string // apps
	waiting []*turn
}

// turn is a waiting build.
type turn struct {
	app   string
	begun chan struct{} // closed when it may run
}

// take blocks until fewer than most builds run, or until ctx ends; then the error is its cause.
// Before it blocks it calls wait with the apps whose builds run and the number of builds already
// waiting.
func (q *turns) take(
	ctx context.Context, app string, most int, wait func(running []string, waiting int),
) error {
	q.mu.Lock()
	if len(q.running) < most && len(q.waiting) == 0 {
		q.running = append(q.running, app)
		q.mu.Unlock()
		return nil
	}
	mine := &turn{app, make(chan struct{})}
	running, waiting := slices.Clone(q.running), len(q.waiting)
	q.waiting = append(q.waiting, mine)
	q.mu.Unlock()
	wait(running, waiting)
	select {
	case <-mine.begun:
		return nil
	case <-ctx.Done():
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	at := slices.Index(q.waiting, mine)
	if at < 0 { // its turn came at the same moment
		q.pass(app)
	} else {
		q.waiting = slices.Delete(q.waiting, at, at+1)
	}
	return context.Cause(ctx)
}

// leave ends a turn of the app.
func (q *turns) leave(app string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pass(app)
}

// pass gives the app's place to the build that has waited longest. The caller holds mu.
func (q *turns) pass(app string) {
	at := slices.Index(q.running, app)
	q.running = slices.Delete(q.running, at, at+1)
	if len(q.waiting) > 0 {
		next := q.waiting[0]
		q.waiting = q.waiting[1:]
		q.running = append(q.running, next.app)
		close(next.begun)
	}
}

// takeTurn waits for the build's turn, once. The wait does not count towards Timeout.
func (b *build) takeTurn(ctx context.Context) error {
	if b.hasTurn {
		return nil
	}
	most := b.MaxBuilds
	if most <= 0 {
		most = max(1, runtime.GOMAXPROCS(0)/2) // GOMAXPROCS respects a container's limit
	}
	err := b.turns.take(ctx, b.job.App, most, func(running []string, waiting int) {
		b.clock.stop()
		what := fmt.Sprintf("%d builds", len(running)) // of apps that are not for everybody to know
		switch {
		case slices.Contains(running, b.job.App):
			what = "its previous build"
		case len(running) == 1:
			what = "another app's build"
		}
		if waiting > 0 {
			what += fmt.Sprintf(" and %d waiting before it", waiting)
		}
		say.Detail(b.job.Out, "waiting for %s; this server runs at most %d at once", what, most)
	})
	b.clock.start()
	b.hasTurn = err == nil
	return err
}

// clock calls end after it has run for the duration left.
type clock struct {
	left  time.Duration
	end   func()
	since time.Time
	timer *time.Timer // nil: stopped
}

func (c *clock) start() {
	if c.timer == nil {
		c.since, c.timer = time.Now(), time.AfterFunc(c.left, c.end)
	}
}

func (c *clock) stop() {
	if c.timer != nil && c.timer.Stop() {
		c.left, c.timer = c.left-time.Since(c.since), nil
	}
}
