//go:build linux

package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"paas/lab/proc"
)

// check waits until nothing is in progress, and then checks the promises.
func (d *day) check(ctx context.Context) {
	if ctx.Err() != nil {
		return
	}
	d.each(func(a *app) {
		for _, look := range []func(context.Context, *app) error{
			d.idle, d.answers, d.bringBack, d.branchMatches, d.historyGrows, d.keepsData, d.matchesFormation,
			d.isolated,
		} {
			if err := look(ctx, a); err != nil || ctx.Err() != nil {
				return
			}
		}
		d.write("%s: at rest: %v", a.name, a.model.states()[0])
	})
	if ctx.Err() != nil {
		return
	}
	d.everyDoor(ctx)
	d.oneLife(ctx)
	d.serverUnconfined()
	if faults, err := d.server.faults(); err != nil || len(faults) > 0 {
		d.broken(nothingLost, "the server's log has %v, %v", faults, err)
	}
	d.checkGrowth(ctx, &d.lives[len(d.lives)-1])
}

// calm is how long operations that were cut off may take to end.
const calm = 40 * time.Second

// eventually repeats look until it succeeds. If it fails for longer than patience, promise p is
// broken.
func (d *day) eventually(
	ctx context.Context, patience time.Duration, p promise, who string, look func() error,
) error {
	began := time.Now()
	for {
		err := look()
		if err == nil {
			d.kept(p)
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if time.Since(began) > patience {
			d.broken(p, "%s: %v (for %v)", who, err, patience)
			return err
		}
		proc.Wait(ctx, 100*time.Millisecond)
	}
}

// idle waits until no release of the app is in progress, and no git runs for it.
func (d *day) idle(ctx context.Context, a *app) error {
	repo := filepath.Join("apps", a.name, "repo.git")
	return d.eventually(ctx, calm, nothingLost, a.name, func() error {
		for _, pid := range proc.Descendants(d.server.pid()) {
			argv := arguments(pid)
			dir, _ := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
			if strings.Contains(argv+dir, repo) {
				return fmt.Errorf("%q still runs in %s", argv, dir)
			}
		}
		rows, err := d.history(ctx, a)
		if err != nil {
			return err
		}
		for _, r := range rows {
			switch r.Status.State {
			case "live", "retired", "failed", "cancelled":
			default:
				return fmt.Errorf("v%d is still %s", r.N, r.Status.State)
			}
		}
		return nil
	})
}

// answers asks the app for its state, which is known from then on.
func (d *day) answers(ctx context.Context, a *app) error {
	now := time.Now()
	got := d.visitor.ask(ctx, false, a)
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if err := a.model.saw(now, got); err != nil {
		d.broken(nothingLost, "%s %v", a.name, err)
		return err
	}
	d.kept(nothingLost)
	var color string
	out, err := proc.Output(d.person.verb(ctx, true, "config:get", a.name, "COLOR"))
	if err == nil {
		color = strings.TrimSuffix(string(out), "\n")
	}
	// Some of the state does not show from outside, such as why the app does not answer.
	var info struct{ State, Commit string }
	infoErr := d.person.ask(ctx, false, &info, "apps:info", a.name)
	err = a.model.known(now, func(s state) bool {
		switch {
		case s.Gone:
			return infoErr != nil
		case infoErr != nil:
			return false
		}
		return color == s.Color && a.version[info.Commit] == s.Version &&
			(info.State == "stopped") == s.Stopped
	})
	if err != nil {
		d.broken(nothingLost, "%s answers %v, has COLOR=%q, and is by apps:info %+v, %v; %v", a.name, got,
			color, info, infoErr, err)
		return err
	}
	d.kept(nothingLost)
	return nil
}

// bringBack starts an app that is stopped, has no release or was destroyed: the next round needs it
// running.
func (d *day) bringBack(ctx context.Context, a *app) error {
	is := a.model.states()[0]
	switch {
	case is.serves():
		return nil
	case is.Gone || is.Version == "":
		d.goodPush(ctx, a, op{})
	default:
		d.command(ctx, a, op{}, started, "ps:start", a.name)
	}
	if !a.certain() && ctx.Err() == nil {
		d.broken(nothingLost, "%s does not come back from %v", a.name, is)
		return errBroken
	}
	return d.idle(ctx, a)
}

// branchMatches checks that there is only the deploy branch, and that it is at the live commit.
func (d *day) branchMatches(ctx context.Context, a *app) error {
	is := a.model.states()[0]
	return d.eventually(ctx, back, branchRuns, a.name, func() error {
		out, err := d.person.Git(ctx, a.clone, "ls-remote", "paas")
		if err != nil {
			return err
		}
		found := false
		for line := range strings.Lines(out) {
			sha, ref, _ := strings.Cut(strings.TrimSpace(line), "\t")
			if ref != "HEAD" && ref != "refs/heads/main" {
				return fmt.Errorf("there is %s", ref)
			}
			if a.version[sha] != is.Version {
				return fmt.Errorf("%s is %s (%q); live is %v", ref, sha, a.version[sha], is)
			}
			found = true
		}
		if !found {
			return fmt.Errorf("there is no branch; live is %v", is)
		}
		return nil
	})
}

// matchesFormation compares ps with the formation, and with the processes that run.
func (d *day) matchesFormation(ctx context.Context, a *app) error {
	if !a.node {
		return nil
	}
	return d.eventually(ctx, calm, nothingLost, a.name, func() error {
		rows, err := d.processes(ctx, true, a)
		if err != nil {
			return err
		}
		count := map[string]int{"web": 0, "worker": 0}
		listed := map[int]bool{}
		for _, p := range rows {
			if strings.HasPrefix(p.Type, "cron") {
				continue
			}
			if p.State != "running" || p.Release != rows[0].Release {
				return fmt.Errorf("%s.%d of v%d is %s, and another of v%d", p.Type, p.Index, p.Release, p.State,
					rows[0].Release)
			}
			count[p.Type]++
			listed[p.PID] = true
		}
		if a.formation == nil {
			a.formation = count
		}
		if !maps.Equal(count, a.formation) {
			return fmt.Errorf("%v run; wanted are %v", count, a.formation)
		}
		webs := 0
		for _, t := range appProcesses(d.root) {
			if t.env["PAAS_APP"] == a.name && t.env["PORT"] != "" {
				if webs++; !listed[t.pid] {
					return fmt.Errorf("process %d (%s) runs, and ps does not have it", t.pid, t.run)
				}
			}
		}
		if webs != count["web"] {
			return fmt.Errorf("%d web processes run; ps has %d", webs, count["web"])
		}
		return nil
	})
}
