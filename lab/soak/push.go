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

// goesLive is the effect of a push of version.
func goesLive(version string) change {
	return func(s state) state { return state{Version: version, Color: s.Color} }
}

// mayCreate records that a push may create the app, even if its commit fails.
func (a *app) mayCreate() {
	a.model.begin(time.Now(), func(s state) state {
		s.Gone = false
		return s
	})
	a.model.ended(time.Now(), unknown)
}

// pushOutcome waits for a push and derives the outcome from git's output.
func pushOutcome(p *running) outcome {
	err := p.wait()
	switch text := p.text(); {
	case err == nil:
		return worked
	case strings.Contains(text, "[remote rejected]"), strings.Contains(text, "! [rejected]"):
		return refused
	}
	return unknown
}

func (d *day) push(ctx context.Context, a *app, args ...string) *running {
	options := []string{"push", "--no-progress", "paas"}
	if a.diverged {
		options = append(options, "-f")
	}
	cmd := proc.Command(ctx, d.person.Env, "git", append(options, args...)...)
	cmd.Dir = a.clone
	return begin(cmd)
}

// commit makes a commit of the app. It needs no server.
func (d *day) commit(ctx context.Context, a *app, c commit) (version string, ok bool) {
	version, err := d.person.commit(ctx, a, c)
	if err != nil && ctx.Err() == nil {
		d.broken(nothingLost, "the soak itself: commit: %v", err)
	}
	return version, err == nil
}

// goodPush pushes a commit that runs. It must go live, unless there is an outage.
func (d *day) goodPush(ctx context.Context, a *app, o op) {
	version, ok := d.commit(ctx, a, commit{slow: o.Dice%4 == 1})
	if ok {
		d.pushGood(ctx, a, version, "main")
	}
}

func (d *day) pushGood(ctx context.Context, a *app, version string, args ...string) {
	since := time.Now()
	sure := len(a.model.states()) == 1 // otherwise an earlier push may still move the branch
	a.mayCreate()
	d.attempt(ctx, a, "push of "+version, goesLive(version), func() (outcome, string) {
		p := d.push(ctx, a, args...)
		ended := pushOutcome(p)
		if ended != worked && sure && !d.outages.since(since) && ctx.Err() == nil {
			d.broken(branchRuns, "%s: the good commit %s was refused: %s", a.name, version, last(p.text()))
		}
		return ended, p.text()
	})
}

// forcePush pushes a commit that replaces the last ones.
func (d *day) forcePush(ctx context.Context, a *app, o op) {
	if _, err := d.person.Git(ctx, a.clone, "reset", "-q", "--hard",
		fmt.Sprintf("HEAD~%d", 1+o.Dice%3)); err != nil {
		d.write("%s: no commits to leave out: %v", a.name, err)
	}
	a.diverged = true
	if version, ok := d.commit(ctx, a, commit{}); ok {
		d.pushGood(ctx, a, version, "main")
	}
}

// badPush pushes a commit that does not run. It must never go live.
func badPush(fault string) func(*day, context.Context, *app, op) {
	return func(d *day, ctx context.Context, a *app, o op) {
		version, ok := d.commit(ctx, a, commit{fault: fault, slow: o.Dice%4 == 1})
		if !ok {
			return
		}
		p := d.push(ctx, a, "main")
		ended := pushOutcome(p)
		d.write("%s: push of %s (bad %s) %v: %s", a.name, version, fault, ended, last(p.text()))
		if ended == worked {
			d.broken(branchRuns, "%s: the push of %s, which does not run (%s), succeeded: %s", a.name,
				version, fault, last(p.text()))
		}
		d.kept(branchRuns)
	}
}

// branchPush pushes a branch that does not deploy.
func (d *day) branchPush(ctx context.Context, a *app, o op) {
	since := time.Now()
	p := d.push(ctx, a, fmt.Sprintf("HEAD:refs/heads/feature-%d", o.Dice%100))
	ended := pushOutcome(p)
	if ended == worked || ended == unknown && !d.outages.since(since) && ctx.Err() == nil {
		d.broken(branchRuns, "%s: the push of a branch that does not deploy %v: %s", a.name, ended,
			last(p.text()))
	}
}

// twoPushes pushes the same commit twice at once.
func (d *day) twoPushes(ctx context.Context, a *app, o op) {
	version, ok := d.commit(ctx, a, commit{})
	if !ok {
		return
	}
	since := time.Now()
	sure := len(a.model.states()) == 1
	a.mayCreate()
	d.attempt(ctx, a, "two pushes of "+version, goesLive(version), func() (outcome, string) {
		one, two := d.push(ctx, a, "main"), d.push(ctx, a, "main")
		first, second := pushOutcome(one), pushOutcome(two)
		output := one.text() + two.text()
		switch {
		case first == worked || second == worked:
			return worked, output
		case first == refused && second == refused:
			if sure && !d.outages.since(since) && ctx.Err() == nil {
				d.broken(branchRuns, "%s: both pushes of the good commit %s were refused: %s", a.name, version,
					last(output))
			}
			return refused, output
		}
		return unknown, output
	})
}

// cutPush kills the pusher's git, its ssh, or both during a good push.
func (d *day) cutPush(ctx context.Context, a *app, o op) {
	version, ok := d.commit(ctx, a, commit{slow: o.Dice%2 == 0})
	if !ok {
		return
	}
	a.mayCreate()
	d.attempt(ctx, a, "cut push of "+version, goesLive(version), func() (outcome, string) {
		p := d.push(ctx, a, "main")
		select {
		case <-p.ended:
		case <-time.After(o.Cut):
			pid := p.cmd.Process.Pid
			switch o.Dice / 4 % 3 {
			case 0:
				syscall.Kill(-pid, syscall.SIGKILL)
			case 1:
				syscall.Kill(pid, syscall.SIGKILL)
			default:
				for _, child := range proc.Descendants(pid) {
					if program(child) == "ssh" {
						syscall.Kill(child, syscall.SIGKILL)
					}
				}
			}
		}
		return pushOutcome(p), p.text()
	})
}

// cutNew kills a process of the build or of the new release during a push.
func (d *day) cutNew(ctx context.Context, a *app, o op) {
	version, ok := d.commit(ctx, a, commit{slow: true})
	if !ok {
		return
	}
	before := map[int]bool{}
	for _, t := range appProcesses(d.root) {
		before[t.pid] = true
	}
	a.mayCreate()
	d.attempt(ctx, a, "push, with a kill of a new process, of "+version, goesLive(version),
		func() (outcome, string) {
			p := d.push(ctx, a, "main")
			select {
			case <-p.ended:
			case <-time.After(o.Cut * 2):
			}
			for {
				for _, t := range appProcesses(d.root) {
					if t.env["PAAS_APP"] == a.name && !before[t.pid] {
						if t.env["PORT"] != "" { // it may be live by now
							defer d.awaitBack(ctx, a, a.excuse("a kill of the app"))
						}
						d.write("%s: kill of %d (%s)", a.name, t.pid, t.run)
						syscall.Kill(t.pid, syscall.SIGKILL)
						return pushOutcome(p), p.text()
					}
				}
				select {
				case <-p.ended:
					return pushOutcome(p), p.text()
				case <-time.After(20 * time.Millisecond):
				}
			}
		})
}
