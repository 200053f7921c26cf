package runtime

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"paas/engine"
	"paas/pause"
)

// note is what the next server learns of a detached job.
type note struct {
	App  string    // identity: another app may have its name by then
	Cron *cronNote `json:",omitempty"` // nil: it is a one-off command
}

// detached returns what has a job of the app go on when the server ends. Its output goes to the log.
func detached(log string, n note) *engine.Detached {
	text, _ := json.Marshal(n) // cannot fail
	return &engine.Detached{ID: rand.Text(), Log: log, Note: string(text)}
}

// errLeft is the cause that ends the context of a detached job if the next server takes it up.
var errLeft = errors.New("the next server takes it up")

// found are the detached jobs of an earlier server that nobody has taken up yet, by app.
type found struct {
	mu   sync.Mutex
	runs map[string][]foundRun
}

// foundRun is a detached job of an earlier server.
type foundRun struct {
	engine.Run
	note  note
	letGo func() // releases its build
}

// take returns those of an app. The caller takes them up.
func (f *found) take(app string) []foundRun {
	f.mu.Lock()
	defer f.mu.Unlock()
	runs := f.runs[app]
	delete(f.runs, app)
	return runs
}

// adopt takes up the detached jobs of an earlier server: one-off commands at once, cron runs when
// the app's goroutine starts. It stops those of an app that is gone. It blocks until the engine has
// told what there is, or ctx ends.
func (rt *Runtime) adopt(ctx context.Context) {
	list, err := rt.Engine.Runs(ctx)
	for err != nil {
		if ctx.Err() != nil {
			return
		}
		rt.Log.Error("cannot ask the engine which jobs it has", "err", err)
		if pause.For(ctx, time.Second, nil) != nil {
			return
		}
		list, err = rt.Engine.Runs(ctx)
	}
	f := &rt.found
	f.mu.Lock()
	defer f.mu.Unlock()
	f.runs = map[string][]foundRun{}
	for _, run := range list {
		r := foundRun{Run: run, letGo: rt.hold(run.App, run.Image.Build)}
		if json.Unmarshal([]byte(run.Detached.Note), &r.note) != nil || !rt.has(run.App, r.note.App) {
			go func() {
				r.Stop(rt.grace())
				r.letGo()
				rt.forget(r.Detached)
			}()
			continue
		}
		rt.Log.Info("goes on", "app", run.App, "type", run.Type, "index", run.Index, "pid", run.PID())
		if r.note.Cron != nil {
			f.runs[run.App] = append(f.runs[run.App], r)
			continue
		}
		rt.oneoffs.adopt(rt, r)
	}
}

// has reports whether the app with this identity exists. If that cannot be read now, it does.
func (rt *Runtime) has(name, identity string) bool {
	app, err := rt.Volume.App(name)
	if err != nil {
		return false
	}
	id, err := app.Identity()
	return err != nil || id == identity
}

// forget has the engine forget a detached job whose end is recorded. If that fails, the next server
// records it again.
func (rt *Runtime) forget(d *engine.Detached) {
	if err := rt.Engine.Forget(context.Background(), d.ID); err != nil {
		rt.Log.Error("cannot forget a job that has ended", "err", err)
	}
}
