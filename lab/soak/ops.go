//go:build linux

package main

import (
	"context"
	"time"
)

// release is one of those in releases --format json.
type release struct {
	N         int    `json:"n"`
	Build     string `json:"build"`
	Commit    string `json:"commit"`
	By        string `json:"by"`
	Cause     string `json:"cause"`
	Note      string `json:"note"`
	At        string `json:"at"`
	BuildKept bool   `json:"build_kept"`
	Status    struct{ State, Reason string }
}

// releases asks for all releases of the app, newest first.
func (d *day) releases(ctx context.Context, ssh bool, a *app) ([]release, error) {
	var answer struct{ Releases []release }
	err := d.person.ask(ctx, ssh, &answer, "releases", a.name, "--all")
	return answer.Releases, err
}

// process is one of those in ps --format json.
type process struct {
	Type, State         string
	Index, Release, PID int
	Restarts            int
}

// processes asks for the app's processes.
func (d *day) processes(ctx context.Context, ssh bool, a *app) ([]process, error) {
	var answer struct{ Processes []process }
	err := d.person.ask(ctx, ssh, &answer, "ps", a.name)
	return answer.Processes, err
}

// do carries out one operation.
func (d *day) do(ctx context.Context, a *app, o op) {
	todo := o.Do
	if !a.node { // a static site does not support all operations
		switch todo {
		case opWrite, opRun, opCronRun, opRestartOne, opScale, opKill, opCutNew, opUnset, opBadConfig:
			todo = opPush
		case opMute, opBadHealth, opBadRelease:
			todo = opBadBoot
		}
	}
	if !a.checked && todo == opBadHealth { // the app has no health check
		todo = opBadBoot
	}
	switch todo {
	case opPush, opForce, opDestroy, opCutPush, opTwoPushes, opCutNew: // these create a missing app
	default:
		if !a.certain() {
			d.write("%s: skipped in state %v: %v", a.name, a.model.states(), o)
			return
		}
	}
	o.Do = todo
	d.write("%s: begins: %s", a.name, o)
	d.visits.mu.Lock()
	d.done[todo]++
	d.visits.mu.Unlock()
	operations[todo](d, ctx, a, o)
}

// operations implements the operations.
var operations = map[string]func(*day, context.Context, *app, op){
	opPush: (*day).goodPush, opForce: (*day).forcePush, opTwoPushes: (*day).twoPushes,
	opCutPush: (*day).cutPush, opCutNew: (*day).cutNew,
	opBadBuild: badPush("build"), opBadBoot: badPush("boot"), opMute: badPush("mute"),
	opBadHealth: badPush("health"), opBadRelease: badPush("release"),
	opBranch: (*day).branchPush, opConfig: (*day).setColor, opUnset: (*day).unsetColor,
	opCutCommand: (*day).cutCommand, opBadConfig: (*day).badColor,
	opRestart: again("ps:restart"), opRebuild: again("ps:rebuild"), opRestartOne: (*day).restartWeb,
	opScale: (*day).scale, opRollback: (*day).rollback,
	opStopStart: (*day).stopStart, opKill: (*day).killProcess, opWrite: (*day).writeNote,
	opRun: (*day).runOnce, opCronRun: (*day).cronRun,
	opDestroy: (*day).destroy, opCreateAgain: (*day).createAgain,
}

// attempt runs do, which changes the app and returns its outcome and output.
func (d *day) attempt(
	ctx context.Context, a *app, what string, c change, do func() (outcome, string),
) outcome {
	a.model.begin(time.Now(), c)
	ended, output := do()
	a.model.ended(time.Now(), ended)
	d.write("%s: %s %v: %s", a.name, what, ended, last(output))
	d.visits.mu.Lock()
	d.outcomes[ended.String()]++
	d.visits.mu.Unlock()
	if may := a.model.states(); ended == worked && len(may) == 1 && may[0].serves() {
		d.learn(ctx, a, may[0])
	}
	return ended
}

// learn asks for the number of the live release, so that a rollback can go back to it.
func (d *day) learn(ctx context.Context, a *app, is state) {
	since := time.Now()
	var info struct {
		Release int
		Commit  string
	}
	if err := d.person.ask(ctx, false, &info, "apps:info", a.name); err != nil {
		if !d.outages.since(since) && ctx.Err() == nil {
			d.broken(everyDoor, "%s: %v", a.name, err)
		}
		return
	}
	if a.version[info.Commit] == is.Version {
		a.released[info.Release] = is
	} else if !d.outages.since(since) {
		d.broken(everyDoor, "%s: apps:info has v%d of commit %q (%.7s) right after %v was live", a.name,
			info.Release, a.version[info.Commit], info.Commit, is)
	}
}
