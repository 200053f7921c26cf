//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"syscall"
	"time"

	"paas/lab/proc"
)

// killProcess kills one of the app's processes, which must come back.
func (d *day) killProcess(ctx context.Context, a *app, o op) {
	rows, err := d.processes(ctx, o.SSH, a)
	if err != nil || len(rows) == 0 {
		d.write("%s: ps: %v, %v", a.name, rows, err)
		return
	}
	p := rows[o.Dice%uint64(len(rows))]
	if p.PID <= 0 || p.PID == d.server.serving() {
		return
	}
	d.write("%s: kill of %s.%d, %d", a.name, p.Type, p.Index, p.PID)
	over := func() {}
	if p.Type == "web" {
		over = a.excuse("a kill of the app")
	}
	syscall.Kill(p.PID, syscall.SIGKILL)
	d.awaitBack(ctx, a, over)
}

// back is how soon after the server a live app must be back.
const back = 20 * time.Second

// awaitBack waits until the app answers as it should and all its processes run, and then calls
// over.
func (d *day) awaitBack(ctx context.Context, a *app, over func()) {
	defer over()
	var got answer
	var rows []process
	var err error
	calm := time.Now()
	for proc.Wait(ctx, 50*time.Millisecond) == nil {
		got = d.visitor.ask(ctx, false, a)
		if !d.server.running() || d.outages.since(got.Asked) {
			calm = time.Now()
		}
		if a.model.allows(got) == nil {
			rows, err = d.processes(ctx, false, a)
			all := true
			for _, p := range rows {
				all = all && (p.State == "running" || p.State == "stopping")
			}
			if err == nil && all {
				d.kept(nothingLost)
				return
			}
		}
		if time.Since(calm) > back {
			d.broken(nothingLost, "%s is not back after %v: it answers %v, and ps says %+v, %v", a.name,
				back, got, rows, err)
			return
		}
	}
}

// disruption disrupts all apps in the middle of a round.
func (d *day) disruption(ctx context.Context, r round) {
	what := r.Disruption
	switch {
	case (what == disruptDisk || what == disruptDiskKill) && !d.small,
		what == disruptClock && d.clock == nil:
		what = disruptNone // reported at the start
	}
	d.visits.mu.Lock()
	d.disruptions[what]++
	d.visits.mu.Unlock()
	if what == disruptNone || proc.Wait(ctx, r.After) != nil {
		return
	}
	d.write("DISRUPTION: %s", what)
	d.server.note("%s", what)
	switch what {
	case disruptKill:
		over := d.kill(ctx, syscall.SIGKILL, r.N%2 == 0)
		proc.Wait(ctx, r.For/8)
		d.revive(ctx, over)
	case disruptStop:
		over := d.outage("stop and start of the server")
		d.stopGracefully(false)
		d.revive(ctx, over)
	case disruptReload, disruptUpgrade, disruptServer:
		d.restartUnnoticed(ctx, what)
	case disruptDisk:
		free, over := d.fillDisk()
		proc.Wait(ctx, r.For)
		d.freeDisk(free)
		over()
	case disruptDiskKill:
		free, over := d.fillDisk()
		proc.Wait(ctx, r.For)
		overToo := d.kill(ctx, syscall.SIGKILL, r.N%2 == 0)
		d.freeDisk(free)
		d.revive(ctx, overToo)
		over()
	case disruptSuspend:
		pid := d.server.serving()
		syscall.Kill(pid, syscall.SIGSTOP)
		proc.Wait(ctx, r.For)
		syscall.Kill(pid, syscall.SIGCONT)
	case disruptClock:
		if err := d.clock.forward(r.Jump); err != nil {
			d.broken(nothingLost, "the soak itself: %v", err)
		}
		d.write("the clock is %v ahead", d.clock.ahead)
	}
	d.write("DISRUPTION over: %s", what)
}

// restartUnnoticed restarts the server while its apps go on. A planned restart disturbs nobody;
// after a kill only what was in progress at that moment may fail.
func (d *day) restartUnnoticed(ctx context.Context, what string) {
	if what == disruptServer {
		over := d.outage("a kill of the server")
		operations := d.outages.begin()
		syscall.Kill(d.server.serving(), syscall.SIGKILL)
		over() // who asks from now on waits for the next server
		d.allBack(ctx)
		operations()
		return
	}
	began := time.Now()
	var err error
	if what == disruptUpgrade {
		err = proc.Replace(d.server.binary, d.server.binary)
	}
	if err = errors.Join(err, d.server.reload(ctx)); err != nil && ctx.Err() == nil {
		d.broken(unnoticed, "%s: %v", what, err)
		return
	}
	d.write("%s took %v", what, time.Since(began).Round(time.Millisecond))
	d.kept(unnoticed)
}

// sameProcesses checks that an app keeps its processes while the server restarts. Nothing else
// happens meanwhile.
func (d *day) sameProcesses(ctx context.Context, what string) {
	started := func() map[string]bool { // each start of a process has a name, which its children have too
		runs := map[string]bool{}
		for _, t := range appProcesses(d.root) {
			runs[t.run] = true
		}
		return runs
	}
	before := started()
	d.restartUnnoticed(ctx, what)
	if after := started(); !maps.Equal(before, after) && ctx.Err() == nil {
		d.broken(nothingLost, "%s: %v ran before, and %v now", what, sorted(before), sorted(after))
		return
	}
	d.kept(nothingLost)
}

// outage begins a time in which visits and operations may fail.
func (d *day) outage(why string) (over func()) {
	overs := []func(){d.outages.begin()}
	for _, a := range d.apps {
		overs = append(overs, a.excuse(why))
	}
	return func() {
		for _, f := range overs {
			f()
		}
	}
}

// kill kills the server. No process of an app may be left, even without a new server. If look is
// false, this is not checked, and a new server may start before all of them have ended.
func (d *day) kill(ctx context.Context, signal syscall.Signal, look bool) (over func()) {
	over = d.outage("kill -9 of the server")
	if _, err := d.server.end(signal, back); err != nil {
		d.broken(nothingLeft, "%v", err)
		return over
	}
	if !look {
		return over
	}
	killed := time.Now()
	for {
		err := left(d.root, d.server.binary)
		switch {
		case err == nil:
			d.write("nothing runs %v after the kill", time.Since(killed).Round(time.Millisecond))
			d.kept(nothingLeft)
			return over
		case time.Since(killed) > back:
			d.broken(nothingLeft, "%v after the server was killed: %v", back, err)
			return over
		case proc.Wait(ctx, 50*time.Millisecond) != nil:
			return over
		}
	}
}

// revive starts the server and waits until every app that was live is back.
func (d *day) revive(ctx context.Context, over func()) {
	defer over()
	if ctx.Err() != nil {
		return
	}
	if err := d.server.start(ctx); err != nil {
		d.broken(nothingLost, "%v", d.explain(err))
		return
	}
	d.lives = append(d.lives, lifetime{})
	d.allBack(ctx)
}

// allBack waits until every app that was live answers.
func (d *day) allBack(ctx context.Context) {
	ready := time.Now()
	d.each(func(a *app) {
		for proc.Wait(ctx, 50*time.Millisecond) == nil {
			got := d.visitor.ask(ctx, false, a)
			if err := a.model.allows(got); err == nil {
				d.kept(nothingLost)
				return
			} else if time.Since(ready) > back {
				d.broken(nothingLost, "%s is not back %v after the server was: %v", a.name, back, err)
				return
			}
		}
	})
	d.write("all are back after %v", time.Since(ready).Round(time.Millisecond))
}

// stopGracefully stops the server with SIGTERM and checks what it leaves behind; alone: there is no
// other activity.
func (d *day) stopGracefully(alone bool) {
	began := time.Now()
	status, err := d.server.end(syscall.SIGTERM, time.Minute)
	if err == nil && status != 0 {
		err = fmt.Errorf("the server ended with status %d after SIGTERM", status)
	}
	if err != nil {
		d.broken(nothingLeft, "%v", err)
		return
	}
	d.write("stopped in %v", time.Since(began).Round(time.Millisecond))
	d.leftOver(alone)
}

func (d *day) fillDisk() (free func() error, over func()) {
	over = d.outages.begin()
	free, err := fill(d.root)
	if err != nil {
		d.broken(nothingLost, "the soak itself: fill the disk: %v", err)
		return func() error { return nil }, over
	}
	return free, over
}

func (d *day) freeDisk(free func() error) {
	if err := free(); err != nil && !errors.Is(err, os.ErrNotExist) {
		d.broken(nothingLost, "the soak itself: free the disk: %v", err)
	}
}
