package builder

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"paas/say"
)

// turns let a few builds at a time run commands; the others wait in the order in which they came.
type turns struct {
	mu      sync.Mutex
	running []string // apps
	waiting []*turn
}

// turn is a build that waits for others.
type turn struct {
	app   string
	begun chan struct{} // closed when it may run
}

// take blocks until fewer than most builds run, or ctx ends: then its cause is the error. wait is called
// before it blocks, with the apps whose builds run and how many wait already.
func (q *turns) take(ctx context.Context, app string, most int, wait func(running []string, waiting int)) error {
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
	if at < 0 { // it had begun in the same moment
		q.pass(app)
	} else {
		q.waiting = slices.Delete(q.waiting, at, at+1)
	}
	return context.Cause(ctx)
}

// leave ends a turn of the app's.
func (q *turns) leave(app string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pass(app)
}

// pass gives the app's place to the one that has waited longest.
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

// atOnce is how many builds may run commands at once.
func (b *Builder) atOnce() int {
	if b.AtOnce > 0 {
		return b.AtOnce
	}
	return max(1, runtime.GOMAXPROCS(0)/2) // which knows what a container may use
}

// takeTurn waits for the build's turn, once. The wait is no part of the time that a build may take.
func (b *build) takeTurn(ctx context.Context) error {
	if b.hasTurn {
		return nil
	}
	most := b.atOnce()
	err := b.turns.take(ctx, b.job.App, most, func(running []string, waiting int) {
		b.clock.stop()
		for i, app := range running {
			if running[i] = "the build of " + app; app == b.job.App {
				running[i] = "its build before"
			}
		}
		also := ""
		if waiting > 0 {
			also = fmt.Sprintf(", and for %d that came before", waiting)
		}
		say.Detail(b.job.Out, "waiting for %s%s; at most %d at once (PAAS_MAX_BUILDS)", strings.Join(running, " and "), also, most)
	})
	b.clock.start()
	b.hasTurn = err == nil
	return err
}

// clock calls end when it has run for as long as left says.
type clock struct {
	left  time.Duration
	end   func()
	since time.Time
	timer *time.Timer // nil: it stands
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
