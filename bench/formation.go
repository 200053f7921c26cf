//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

const (
	formationRate = 200             // requests a second
	pause         = 2 * time.Second // between two deploys: what they are set beside
	webs, workers = 3, 2
)

// formationResult is what visitors noticed of the deploys of an app of several processes, and how it
// was between them.
type formationResult struct {
	Deploys       []span
	Quiet, During visits // During: from the start of a push until nothing of the version before is left
}

// span is a time in which an app was being deployed.
type span struct{ From, To time.Time }

// measureFormation deploys the example as several web processes, beside workers, while it is visited.
func measureFormation(ctx context.Context, o options, c *client) (*formationResult, error) {
	team := *c
	team.clone = filepath.Join(c.dir, "team")
	if err := copyTree(team.clone, o.Example); err != nil {
		return nil, err
	}
	for name, text := range map[string]string{
		"Procfile":  "web: node server.js\nworker: node worker.js\n",
		"worker.js": "setInterval(() => {}, 1000)\n",
	} {
		if err := os.WriteFile(filepath.Join(team.clone, name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	if err := team.commitAll(ctx, team.clone); err != nil {
		return nil, err
	}
	r, err := startRoles(ctx, o.Paas, c, nil)
	if err != nil {
		return nil, err
	}
	defer r.stop()
	app := r.app("team")
	if err := team.git(ctx, team.clone, "push", app.remote, "main"); err != nil {
		return nil, err
	}
	if _, err := r.run(ctx, "ps:scale", "team", fmt.Sprint("web=", webs), fmt.Sprint("worker=", workers)); err != nil {
		return nil, err
	}
	if err := r.whole(ctx, "team", 1); err != nil {
		return nil, err
	}
	visiting, stop := context.WithCancel(ctx)
	defer stop()
	visited := make(chan []answer, 1)
	go func() { visited <- visit(visiting, app, formationRate) }()
	res := &formationResult{}
	for i := range o.Deploys {
		progress("deploy of %d web and %d worker processes %d of %d", webs, workers, i+1, o.Deploys)
		if err := pass(ctx, pause); err != nil {
			return nil, err
		}
		if _, err := team.change(ctx); err != nil {
			return nil, err
		}
		from := time.Now()
		if err := team.git(ctx, team.clone, "push", app.remote, "main"); err != nil {
			return nil, err
		}
		if err := r.whole(ctx, "team", i+2); err != nil {
			return nil, err
		}
		res.Deploys = append(res.Deploys, span{from, time.Now()})
	}
	stop()
	during, between := part(<-visited, res.Deploys)
	res.During, res.Quiet = sum(during), sum(between)
	return res, ctx.Err()
}

// whole waits until release n runs with all its processes, and nothing else of the app does.
func (r *roles) whole(ctx context.Context, app string, n int) error {
	path := filepath.Join(r.root, "apps", app, "processes.json")
	var readErr error
	err := await(ctx, 10*time.Millisecond, fmt.Sprintf("v%d does not run with %d web and %d worker processes", n, webs, workers), func() bool {
		text, err := os.ReadFile(path)
		var is bool
		if err == nil {
			is, err = formed(text, n)
		}
		readErr = err
		return is || err != nil
	})
	return errors.Join(err, readErr)
}

// formed says whether the processes of an app, as its processes.json has them, are those of release n.
func formed(text []byte, n int) (bool, error) {
	var list []struct {
		Type, State string
		Release     int
	}
	if err := json.Unmarshal(text, &list); err != nil {
		return false, err
	}
	count := map[string]int{}
	for _, p := range list {
		if p.Release != n || p.State != "running" {
			return false, nil
		}
		count[p.Type]++
	}
	return len(list) == webs+workers && count["web"] == webs && count["worker"] == workers, nil
}

// part tells the answers that somebody was waiting for during one of the deploys from the others.
func part(all []answer, deploys []span) (during, between []answer) {
	for _, a := range all {
		met := false
		for _, d := range deploys {
			met = met || a.Asked.Before(d.To) && a.Asked.Add(a.Took).After(d.From)
		}
		if met {
			during = append(during, a)
		} else {
			between = append(between, a)
		}
	}
	return during, between
}

// rows prints the result with [results.table]'s row.
func (r *formationResult) rows(row func(what, ours, other, ratio, target string)) {
	failed := func(v visits) string { return fmt.Sprintf("%d of %d", v.Failed, v.Requests) }
	row(fmt.Sprintf("failed requests at %d/s, %d deploys of %d web and %d worker processes", formationRate, len(r.Deploys), webs, workers),
		failed(r.During), failed(r.Quiet)+" (between them)", "", "0")
	row("99th percentile meanwhile", ms(r.During.P99), ms(r.Quiet.P99)+" (between them)",
		fmt.Sprintf("%.2f", float64(r.During.P99)/float64(r.Quiet.P99)), "")
	row("median and slowest answer meanwhile", ms(r.During.Median)+", "+ms(r.During.Slowest),
		ms(r.Quiet.Median)+", "+ms(r.Quiet.Slowest)+" (between them)", "", "")
	for _, v := range []visits{r.During, r.Quiet} {
		if v.FirstFailure != "" {
			row("the first failure", v.FirstFailure, "", "", "")
		}
	}
	took := func(s span) time.Duration { return s.To.Sub(s.From) }
	row("push until all of the new version runs and nothing of the old, median", ms(median(r.Deploys, took)), "", "", "")
}
