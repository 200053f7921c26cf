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

	"paas/lab/proc"
)

const (
	formationRate = 200             // requests a second
	pause         = 2 * time.Second // between two deploys
	webs, workers = 3, 2
)

// checked makes the server request the front page of a new web process before it gets traffic.
// Without this the port only has to accept connections.
const checked = `{"healthchecks": {"web": [{"type": "startup", "path": "/"}]}}`

// formationResult is what visitors noticed during deploys of an app with several processes, with
// and without this check, and between the deploys.
type formationResult struct {
	PortDeploys, PageDeploys []span
	Port, Page, Quiet        visits
}

// span is the time of one deploy: from the start of the push until nothing of the old version is
// left, and [settle] longer, for the first answers of the new one.
type span struct{ From, To time.Time }

// measureFormation deploys the example as several web and worker processes, with visitors.
func measureFormation(ctx context.Context, o options, c *client) (*formationResult, error) {
	team := *c
	team.clone = filepath.Join(c.dir, "team")
	if err := copyTree(team.clone, example); err != nil {
		return nil, err
	}
	for name, text := range map[string]string{
		"Procfile":  "web: node server.js\nworker: node worker.js\n",
		"app.json":  "{}",
		"worker.js": "setInterval(() => {}, 1000)\n",
	} {
		if err := os.WriteFile(filepath.Join(team.clone, name), []byte(text), 0o644); err != nil {
			return nil, err
		}
	}
	if err := team.commitAll(ctx, team.clone); err != nil {
		return nil, err
	}
	r, err := startServer(ctx, o.Paas, c, nil)
	if err != nil {
		return nil, err
	}
	defer r.stop()
	app := r.app("team")
	if err := team.git(ctx, team.clone, "push", app.remote, "main"); err != nil {
		return nil, err
	}
	if _, err := r.run(ctx, "ps:scale", "team", fmt.Sprint("web=", webs),
		fmt.Sprint("worker=", workers)); err != nil {
		return nil, err
	}
	if err := r.whole(ctx, "team", 1); err != nil {
		return nil, err
	}
	warming, stop := context.WithTimeout(ctx, settle)
	defer stop()
	visit(warming, app, formationRate)
	visiting, stop := context.WithCancel(ctx)
	defer stop()
	visited := make(chan []answer, 1)
	go func() { visited <- visit(visiting, app, formationRate) }()
	res := &formationResult{}
	release := 1
	for i := range o.Deploys {
		progress("deploys of %d web and %d worker processes %d of %d", webs, workers, i+1, o.Deploys)
		for _, way := range []struct {
			appJSON string
			to      *[]span
		}{{"{}", &res.PortDeploys}, {checked, &res.PageDeploys}} {
			if err := proc.Wait(ctx, pause); err != nil {
				return nil, err
			}
			release++
			took, err := r.deployWhole(ctx, &team, "team", release, way.appJSON)
			if err != nil {
				return nil, err
			}
			*way.to = append(*way.to, took)
		}
	}
	stop()
	port, rest := part(<-visited, res.PortDeploys)
	page, quiet := part(rest, res.PageDeploys)
	res.Port, res.Page, res.Quiet = sum(port), sum(page), sum(quiet)
	return res, ctx.Err()
}

// deployWhole changes one line and app.json, and pushes them as release n.
func (r *server) deployWhole(
	ctx context.Context, c *client, app string, n int, appJSON string,
) (span, error) {
	if err := os.WriteFile(filepath.Join(c.clone, "app.json"), []byte(appJSON), 0o644); err != nil {
		return span{}, err
	}
	if _, err := c.change(ctx); err != nil {
		return span{}, err
	}
	from := time.Now()
	if err := c.git(ctx, c.clone, "push", r.app(app).remote, "main"); err != nil {
		return span{}, err
	}
	if err := r.whole(ctx, app, n); err != nil {
		return span{}, err
	}
	err := proc.Wait(ctx, settle)
	return span{from, time.Now()}, err
}

// whole waits until release n runs with all its processes and no others of the app run.
func (r *server) whole(ctx context.Context, app string, n int) error {
	path := filepath.Join(r.root, "apps", app, "processes.json")
	var readErr error
	err := await(ctx, 10*time.Millisecond,
		fmt.Sprintf("v%d does not run with %d web and %d worker processes", n, webs,
			workers), func() bool {
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

// formed reports whether the processes in an app's processes.json are those of release n.
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

// part separates the answers that visitors waited for during a deploy from the others.
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

func (r *formationResult) rows(print row) {
	for _, one := range []struct {
		check   string
		deploys []span
		visits
	}{{"port", r.PortDeploys, r.Port}, {"page", r.PageDeploys, r.Page}} {
		what := fmt.Sprintf("failed requests at %d/s, %d deploys of %d web and %d worker processes, %s check",
			formationRate, len(one.deploys), webs, workers, one.check)
		print(what, fmt.Sprintf("%d of %d", one.Failed, one.Requests),
			fmt.Sprintf("%d of %d (between them)", r.Quiet.Failed, r.Quiet.Requests), "", "0")
		print("99th percentile meanwhile", ms(one.P99), ms(r.Quiet.P99)+" (between them)",
			ratio(one.P99, r.Quiet.P99), "")
		print("median and slowest answer meanwhile", ms(one.Median)+", "+ms(one.Slowest),
			ms(r.Quiet.Median)+", "+ms(r.Quiet.Slowest)+" (between them)", "", "")
		took := func(s span) time.Duration { return s.To.Sub(s.From) - settle }
		print("push until only the new version runs, median",
			ms(median(one.deploys, took)), "", "", "")
	}
	for _, v := range []visits{r.Port, r.Page, r.Quiet} {
		if v.FirstFailure != "" {
			print("a failure", v.FirstFailure, "", "", "")
		}
	}
}
