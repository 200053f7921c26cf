//go:build linux

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"paas/lab/proc"
)

// packages has dependencies that come to more than 50 packages in all.
const packages = `{"name": "shop", "private": true, "scripts": {"start": "node server.js"},
  "dependencies": {"express": "4.21.2", "pino": "9.5.0"}}`

const packagesServer = `const app = require('express')()
app.get('/', (request, response) => response.send(require('fs').readFileSync('page.txt', 'utf8')))
app.listen(process.env.PORT, '127.0.0.1')
`

// reinstallResult is the cost of a push that changes a source file but not the lock file.
type reinstallResult struct {
	Packages int
	First    time.Duration   // the build of the first push, with empty caches
	Afresh   []time.Duration // `npm ci` by hand in a new folder, with a warm npm cache
	Again    []time.Duration // the builds of later pushes
	Installs int             // builds of later pushes that installed anything
}

// measureReinstall builds one app repeatedly. It needs a registry for npm.
func measureReinstall(ctx context.Context, o options, c *client) (*reinstallResult, error) {
	shop := *c
	shop.clone = filepath.Join(c.dir, "shop")
	for name, text := range map[string]string{
		"package.json": packages, "server.js": packagesServer,
		"posts/01-hello.md": "# one\n", "page.txt": "one", ".gitignore": "node_modules\n",
	} {
		path := filepath.Join(shop.clone, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755),
			os.WriteFile(path, []byte(text), 0o644)); err != nil {
			return nil, err
		}
	}
	env := append(os.Environ(), "npm_config_cache="+filepath.Join(c.dir, "npm"),
		"npm_config_update_notifier=false")
	npm := func(dir string, args ...string) (time.Duration, error) {
		cmd := proc.Command(ctx, env, "npm",
			append(args, "--no-audit", "--no-fund", "--loglevel=error")...)
		cmd.Dir = dir
		start := time.Now()
		_, err := proc.Output(cmd)
		return time.Since(start), err
	}
	if _, err := npm(shop.clone, "install", "--package-lock-only"); err != nil {
		return nil, fmt.Errorf("%w: %w", errSkipped, err)
	}
	lock, err := os.ReadFile(filepath.Join(shop.clone, "package-lock.json"))
	if err != nil {
		return nil, err
	}
	res := &reinstallResult{Packages: strings.Count(string(lock), `"node_modules/`)}
	if err := shop.commitAll(ctx, shop.clone); err != nil {
		return nil, err
	}
	r, err := startServer(ctx, o.Paas, c, nil)
	if err != nil {
		return nil, err
	}
	defer r.stop()
	if res.First, _, err = r.build(ctx, &shop, 1); err != nil {
		return nil, err
	}
	for round := range o.Pushes {
		progress("build without an install %d of %d", round+1, o.Pushes)
		text := fmt.Sprintf("change %d", round)
		if err := os.WriteFile(filepath.Join(shop.clone, "page.txt"), []byte(text), 0o644); err != nil {
			return nil, err
		}
		if err := shop.git(ctx, shop.clone, "commit", "-qam", text); err != nil {
			return nil, err
		}
		took, buildLog, err := r.build(ctx, &shop, round+2)
		if err != nil {
			return nil, err
		}
		res.Again = append(res.Again, took)
		if strings.Contains(buildLog, "npm ci") || strings.Contains(buildLog, "npm install") {
			res.Installs++
		}
		fresh, err := os.MkdirTemp(c.dir, "fresh-")
		if err != nil {
			return nil, err
		}
		for _, name := range []string{"package.json", "package-lock.json"} {
			text, err := os.ReadFile(filepath.Join(shop.clone, name))
			if err == nil {
				err = os.WriteFile(filepath.Join(fresh, name), text, 0o644)
			}
			if err != nil {
				return nil, err
			}
		}
		if took, err = npm(fresh, "ci"); err != nil {
			return nil, err
		}
		if round > 0 || o.Pushes == 1 { // the first round fills npm's cache
			res.Afresh = append(res.Afresh, took)
		}
		if err := proc.RemoveAll(fresh); err != nil {
			return nil, err
		}
		time.Sleep(settle)
	}
	return res, nil
}

// build pushes release n and returns how long the server built it, according to the release's
// status, and the output of the build.
func (r *server) build(
	ctx context.Context, c *client, n int,
) (took time.Duration, buildLog string, err error) {
	release := filepath.Join(r.root, "apps", "shop", "releases", fmt.Sprint(n))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	built := make(chan time.Duration, 1)
	go func() {
		var began time.Time
		for ctx.Err() == nil {
			var status struct{ State string }
			if text, err := os.ReadFile(filepath.Join(release, "status.json")); err == nil {
				json.Unmarshal(text, &status)
			}
			switch {
			case status.State == "building" && began.IsZero():
				began = time.Now()
			case status.State != "" && status.State != "building" && status.State != "queued":
				if began.IsZero() {
					began = time.Now() // the build took less than one interval
				}
				built <- time.Since(began)
				return
			}
			time.Sleep(200 * time.Microsecond)
		}
	}()
	if err := c.git(ctx, c.clone, "push", r.app("shop").remote, "main"); err != nil {
		return 0, "", err
	}
	text, err := os.ReadFile(filepath.Join(release, "log"))
	return <-built, string(text), err
}

func (r *reinstallResult) rows(print row) {
	again, afresh := median(r.Again, itself), median(r.Afresh, itself)
	what := fmt.Sprintf("build of a push that changes no lock file, %d packages, median of %d",
		r.Packages, len(r.Again))
	print(what, ms(again), ms(r.First)+" (the first build)",
		fmt.Sprintf("%.3f", float64(again)/float64(r.First)), "at most 0.1")
	print("the same, against `npm ci` afresh with a warm cache", ms(again), ms(afresh)+" (npm ci)",
		fmt.Sprintf("%.3f", float64(again)/float64(afresh)), "")
	print("how many of them installed anything", fmt.Sprint(r.Installs), "", "", "0")
}
