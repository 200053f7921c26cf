//go:build linux

package main

import (
	"context"
	"fmt"
	"strings"
	"syscall"
	"time"

	"paas/lab/proc"
)

func same(s state) state { return s }

// started is the effect of a new release on a stopped app.
func started(s state) state {
	s.Stopped = false
	return s
}

// command runs a command that changes the app.
func (d *day) command(ctx context.Context, a *app, o op, c change, args ...string) outcome {
	since := time.Now()
	return d.attempt(ctx, a, strings.Join(args, " "), c, func() (outcome, string) {
		p := begin(d.person.verb(ctx, o.SSH, args...))
		err := p.wait()
		if err == nil {
			return worked, p.text()
		}
		if !d.outages.since(since) && ctx.Err() == nil {
			if strings.Contains(p.text(), "the build of v") { // the server keeps only some builds
				return refused, p.text()
			}
			d.broken(nothingLost, "%s: %s: %v: %s", a.name, strings.Join(args, " "), err, last(p.text()))
		}
		return unknown, p.text()
	})
}

// again runs a verb that makes a new release of the live build.
func again(verb string) func(*day, context.Context, *app, op) {
	return func(d *day, ctx context.Context, a *app,
		o op) {
		d.command(ctx, a, o, started, verb, a.name)
	}
}

func (d *day) restartWeb(ctx context.Context, a *app, o op) {
	d.command(ctx, a, o, same, "ps:restart", a.name, "web")
}

func (a *app) nextColor() string {
	a.colors++
	return fmt.Sprintf("c%d, \"%d\" of $HOME", a.colors, a.colors)
}

func colored(color string) change {
	return func(s state) state {
		s.Color = color
		return started(s)
	}
}

func (d *day) setColor(ctx context.Context, a *app, o op) {
	color := a.nextColor()
	d.command(ctx, a, o, colored(color), "config:set", a.name, "COLOR="+color)
}

// badColor sets a config var with which the release phase fails. Nothing may change.
func (d *day) badColor(ctx context.Context, a *app, o op) {
	p := begin(d.person.verb(ctx, o.SSH, "config:set", a.name, "COLOR="+a.nextColor(), "REFUSE=yes"))
	err := p.wait()
	d.write("%s: config:set that the app refuses: %v: %s", a.name, err, last(p.text()))
	if err == nil {
		d.broken(branchRuns, "%s: config:set of what the app does not start with succeeded: %s", a.name,
			last(p.text()))
	}
}

func (d *day) unsetColor(ctx context.Context, a *app, o op) {
	if may := a.model.states(); may[0].Color == "" {
		d.setColor(ctx, a, o)
		return
	}
	d.command(ctx, a, o, colored(""), "config:unset", a.name, "COLOR")
}

// cutCommand kills the ssh client of a config:set.
func (d *day) cutCommand(ctx context.Context, a *app, o op) {
	color := a.nextColor()
	d.attempt(ctx, a, "cut config:set", colored(color), func() (outcome, string) {
		p := begin(d.person.verb(ctx, true, "config:set", a.name, "COLOR="+color))
		select {
		case <-p.ended:
		case <-time.After(o.Cut / 3):
			syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		}
		if p.wait() == nil {
			return worked, p.text()
		}
		return unknown, p.text()
	})
}

func (d *day) scale(ctx context.Context, a *app, o op) {
	want := map[string]int{"web": 1 + int(o.Dice%2), "worker": int(o.Dice / 2 % 3)}
	a.formation = nil
	if d.command(ctx, a, o, same, "ps:scale", a.name, fmt.Sprint("web=", want["web"]),
		fmt.Sprint("worker=", want["worker"])) == worked {
		a.formation = want
	}
}

// rollback goes back to a release whose state is known.
func (d *day) rollback(ctx context.Context, a *app, o op) {
	rows, err := d.releases(ctx, o.SSH, a)
	if err != nil {
		d.write("%s: %v", a.name, err)
		return
	}
	var to []int
	for _, r := range rows {
		is, known := a.released[r.N]
		kept := r.BuildKept && r.Status.State == "retired"
		if known && kept && a.version[r.Commit] == is.Version {
			to = append(to, r.N)
		}
	}
	if len(to) == 0 {
		d.write("%s: nothing to go back to", a.name)
		return
	}
	n := to[o.Dice%uint64(len(to))]
	is := a.released[n]
	d.command(ctx, a, o, func(state) state { return is }, "rollback", a.name, fmt.Sprint("v", n))
}

func (d *day) stopStart(ctx context.Context, a *app, o op) {
	stopped := func(s state) state {
		s.Stopped = true
		return s
	}
	if d.command(ctx, a, o, stopped, "ps:stop", a.name) == worked {
		if proc.Wait(ctx, o.Cut) == nil {
			d.command(ctx, a, o, started, "ps:start", a.name)
		}
	}
}

func (d *day) writeNote(ctx context.Context, a *app, o op) {
	name := fmt.Sprintf("note-%d", o.Dice%10) // the same names repeatedly
	text := fmt.Sprint(o.Dice)
	since := time.Now()
	a.possible[name+"\x00"+text] = text
	err := d.visitor.write(ctx, a, name, text)
	d.write("%s: write of %s: %v", a.name, name, err)
	switch {
	case err == nil:
		a.notes[name] = text
	case ctx.Err() == nil && !d.outages.since(since) && a.excused(since, time.Now()) == "":
		d.broken(unnoticed, "%s: write of a note: %v", a.name, err)
	default:
		delete(a.notes, name) // it may be there
	}
}

// runOnce runs a one-off command in the app.
func (d *day) runOnce(ctx context.Context, a *app, o op) {
	since := time.Now()
	p := begin(d.person.verb(ctx, o.SSH, "run", a.name, "--", "cat", "version.txt"))
	err := p.wait()
	d.write("%s: run: %v: %s", a.name, err, last(p.text()))
	if d.outages.since(since) || ctx.Err() != nil {
		return
	}
	if is := a.model.states()[0]; err != nil || strings.TrimSpace(p.text()) != is.Version {
		d.broken(nothingLost, "%s: run printed %q, %v; live is %v", a.name, last(p.text()), err, is)
	}
}

func (d *day) cronRun(ctx context.Context, a *app, o op) {
	since := time.Now()
	p := begin(d.person.verb(ctx, o.SSH, "cron:run", a.name, "1"))
	err := p.wait()
	d.write("%s: cron:run: %v: %s", a.name, err, last(p.text()))
	if strings.Contains(p.text(), "skipped: the run of") { // the scheduled run was first
		return
	}
	if err != nil && !d.outages.since(since) && ctx.Err() == nil {
		d.broken(nothingLost, "%s: cron:run: %v: %s", a.name, err, last(p.text()))
	}
}

// destroy destroys the app and creates it again.
func (d *day) destroy(ctx context.Context, a *app, o op) {
	notes, tried := a.notes, a.possible
	a.forget()
	ended := d.command(ctx, a, o, func(state) state { return state{Gone: true} }, "apps:destroy",
		a.name, "--force")
	if ended != worked { // the app may still be there
		a.formation, a.possible = nil, tried
		for name, text := range notes {
			a.possible[name+"\x00"+text] = text
		}
	}
	if proc.Wait(ctx, o.Cut) == nil {
		d.goodPush(ctx, a, o)
	}
}

func (d *day) createAgain(ctx context.Context, a *app, o op) {
	since := time.Now()
	p := begin(d.person.verb(ctx, o.SSH, "apps:create", a.name))
	if err := p.wait(); err == nil && !d.outages.since(since) {
		d.broken(nothingLost, "%s: apps:create made an app that was there: %s", a.name, last(p.text()))
	}
}
