package keep

import (
	"cmp"
	"context"
	"io"
	"maps"
	"slices"
	"time"

	"paas/engine"
)

// run is a detached job.
type run struct {
	engine.Process // nil: it is being started
	job            engine.Job
	since, ended   time.Time     // guarded by the fleet's lock
	done           chan struct{} // closed when the log is written too
}

// Done implements [engine.Process].
func (r *run) Done() <-chan struct{} { return r.done }

// Stop implements [engine.Process].
func (r *run) Stop(grace time.Duration) {
	r.Process.Stop(grace)
	<-r.done
}

// Detach starts a detached job, whose output goes to its log, and remembers it until Forget.
func (f *Fleet) Detach(
	job engine.Job, start func(engine.Job) (engine.Process, error),
) (engine.Process, error) {
	id := job.Detached.ID
	r := &run{job: job, since: time.Now().UTC(), done: make(chan struct{})}
	r.job.Argv, r.job.Env, r.job.Out, r.job.Err, r.job.In, r.job.Terminal = nil, nil, nil, nil, nil, nil
	f.mu.Lock()
	closed, other := f.closed, f.runs[id]
	if f.runs == nil {
		f.runs = map[string]*run{}
	}
	if !closed && other == nil {
		f.runs[id] = r
	}
	f.mu.Unlock()
	switch {
	case closed:
		return nil, errClosed
	case other != nil:
		return nil, engine.StartError{Status: 1, Reason: "another job has the id " + id}
	}
	var log Log
	if f.Log != nil {
		log = f.Log(job.App, job.Detached.Log)
	}
	job.Out, job.Err, job.In, job.Terminal = io.Discard, nil, nil, nil
	if log != nil {
		job.Out = log
	}
	p, err := start(job)
	f.mu.Lock()
	defer f.mu.Unlock()
	if err != nil {
		delete(f.runs, id)
		return nil, err
	}
	r.Process = p
	go func() {
		<-p.Done()
		if log != nil {
			log.Close()
		}
		f.mu.Lock()
		r.ended = time.Now().UTC()
		f.mu.Unlock()
		close(r.done)
	}()
	return r, nil
}

// Runs implements [engine.Engine.Runs].
func (f *Fleet) Runs(context.Context) (list []engine.Run, _ error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for r := range maps.Values(f.runs) {
		if r.Process != nil {
			list = append(list, engine.Run{Job: r.job, Process: r, Since: r.since, Ended: r.ended})
		}
	}
	slices.SortFunc(list, func(a, b engine.Run) int {
		return cmp.Or(a.Since.Compare(b.Since), cmp.Compare(a.Detached.ID, b.Detached.ID))
	})
	return list, nil
}

// Forget implements [engine.Engine.Forget].
func (f *Fleet) Forget(_ context.Context, id string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if r := f.runs[id]; r != nil && !r.ended.IsZero() {
		delete(f.runs, id)
	}
	return nil
}
