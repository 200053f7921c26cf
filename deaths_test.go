package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdDeaths is deaths DELAY...: for each delay, an app with a good v1 and visitors, to which releases
// are pushed that die so long after they listen. None may be live in the end: the push fails, branch
// and live release agree on v1, and no visitor is left without an answer. PAAS_TEST_ROUNDS pushes are made
// to each app, 1 where that is not set.
func cmdDeaths(ts *testscript.TestScript, _ bool, delays []string) {
	rounds, err := strconv.Atoi(os.Getenv("PAAS_TEST_ROUNDS"))
	if err != nil {
		rounds = 1
	}
	var apps sync.WaitGroup
	all := make([]*deaths, len(delays))
	faults := make([]error, len(delays))
	for i, delay := range delays {
		d := &deaths{ts: ts, app: "dies-" + delay, dir: ts.MkAbs("dies-" + delay)}
		all[i] = d
		apps.Go(func() { faults[i] = d.run(delay, rounds) })
	}
	apps.Wait()
	for i, d := range all { // one after the other: scripts log from one goroutine
		ts.Logf("%s: %d pushes, %d requests, %d not answered with 200: %q", d.app, rounds, d.asked, len(d.failed), d.failed)
		if faults[i] != nil {
			faults[i] = fmt.Errorf("%s: %w", d.app, faults[i])
		}
	}
	ts.Check(errors.Join(faults...))
}

type deaths struct {
	ts       *testscript.TestScript
	app, dir string
	asked    int      // requests of visitors
	failed   []string // those that were not answered with 200
}

func (d *deaths) run(delay string, rounds int) error {
	if err := os.Mkdir(d.dir, 0o755); err != nil {
		return err
	}
	for _, step := range []func() error{
		func() error { return d.git("init", "-q", "-b", "main") },
		func() error { return os.WriteFile(filepath.Join(d.dir, "page.txt"), []byte("good"), 0o644) },
		func() error { return d.commit("web: webapp") },
		func() error { return d.git("push", "-q", d.remote(), "main") },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	good, err := d.output("git", "rev-parse", "HEAD")
	if err != nil {
		return err
	}
	visitors := d.visit()
	for n := range rounds {
		if err := d.push(delay, n, good); err != nil {
			visitors()
			return err
		}
	}
	d.asked, d.failed = visitors()
	if len(d.failed) > rounds { // those that the process had when it died
		return fmt.Errorf("%d of %d requests failed: %q", len(d.failed), d.asked, d.failed)
	}
	return nil
}

// push pushes a release that dies, and checks what came of it.
func (d *deaths) push(delay string, n int, good string) error {
	if err := d.commit(fmt.Sprintf("web: webapp -fall %s -say try-%d", delay, n)); err != nil {
		return err
	}
	out, err := d.output("git", "push", d.remote(), "main")
	if err == nil {
		return fmt.Errorf("push %d succeeded: %s", n, out)
	}
	if !strings.Contains(out, "v1 keeps serving") {
		return fmt.Errorf("push %d: %s", n, out)
	}
	if at, err := d.output("git", "ls-remote", d.remote(), "refs/heads/main"); err != nil || !strings.HasPrefix(at, good) {
		return fmt.Errorf("push %d: the branch is at %s, %v", n, at, err)
	}
	live, err := os.Readlink(filepath.Join(d.ts.Getenv("PAAS_ROOT"), "apps", d.app, "live"))
	if err != nil || live != "releases/1" {
		return fmt.Errorf("push %d: %s is live, %v", n, live, err)
	}
	if code, body, err := request(d.ts, d.app, "/"); err != nil || code != 200 || !strings.HasPrefix(body, "good") {
		return fmt.Errorf("push %d: it answers %d %q, %v", n, code, body, err)
	}
	return nil
}

// visit asks the app 50 times a second until the returned function is called.
func (d *deaths) visit() (stop func() (asked int, failed []string)) {
	quit := make(chan struct{})
	var mu sync.Mutex
	var asked int
	var failed []string
	var all sync.WaitGroup
	all.Go(func() {
		tick := time.NewTicker(time.Second / 50)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
			}
			all.Go(func() {
				began := time.Now()
				code, body, err := request(d.ts, d.app, "/")
				mu.Lock()
				defer mu.Unlock()
				if asked++; err != nil || code != 200 {
					failed = append(failed, fmt.Sprint(code, " ", err, " ", body, " after ", time.Since(began)))
				}
			})
		}
	})
	return func() (int, []string) {
		close(quit)
		all.Wait()
		return asked, failed
	}
}

func (d *deaths) remote() string { return d.ts.Getenv("REMOTE") + "/" + d.app }

func (d *deaths) commit(procfile string) error {
	if err := os.WriteFile(filepath.Join(d.dir, "Procfile"), []byte(procfile+"\n"), 0o644); err != nil {
		return err
	}
	if err := d.git("add", "-A"); err != nil {
		return err
	}
	return d.git("commit", "-q", "-m", procfile)
}

func (d *deaths) git(args ...string) error {
	out, err := d.output("git", args...)
	if err != nil {
		return fmt.Errorf("git %s: %w: %s", args[0], err, out)
	}
	return nil
}

// output runs a program in the app's folder, with the environment of the script.
func (d *deaths) output(program string, args ...string) (string, error) {
	cmd := exec.Command(program, args...)
	cmd.Dir = d.dir
	for _, name := range []string{"HOME", "PATH", "GIT_SSH_COMMAND", "GIT_CONFIG_NOSYSTEM"} {
		cmd.Env = append(cmd.Env, name+"="+d.ts.Getenv(name))
	}
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}
