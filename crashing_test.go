package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// crashing DELAY... makes an app with a good v1 and visitors for each delay, and pushes releases to
// it that crash this long after they listen. None may stay live: the push fails, the branch and the
// live release stay at v1, and v1 answers.
func cmdCrashing(ts *testscript.TestScript, _ bool, delays []string) {
	var apps sync.WaitGroup
	all := make([]*crashing, len(delays))
	errs := make([]error, len(delays))
	for i, delay := range delays {
		c := &crashing{ts: ts, app: "crashes-" + delay, dir: ts.MkAbs("crashes-" + delay)}
		all[i] = c
		apps.Go(func() { errs[i] = c.run(delay) })
	}
	apps.Wait()
	for i, c := range all { // here, because a script may only log from one goroutine
		ts.Logf("%s: %d requests, %d failed: %v", c.app, c.requests,
			len(c.failures), c.failures)
		if errs[i] != nil {
			errs[i] = fmt.Errorf("%s: %w", c.app, errs[i])
		}
	}
	ts.Check(errors.Join(errs...))
}

type crashing struct {
	ts       *testscript.TestScript
	app, dir string
	requests int       // of visitors
	failures []failure // the requests that were not answered with 200
}

// failure is a request that was not answered with 200.
type failure struct {
	began, ended time.Time
	answer       string
}

func (f failure) String() string { return fmt.Sprint(f.answer, " after ", f.ended.Sub(f.began)) }

// atOneMoment reports whether there is a moment at which all requests were in flight, as those are
// that a crash fails.
func atOneMoment(failures []failure) bool {
	var last, first time.Time // the last begin, and the first end
	for i, f := range failures {
		if f.began.After(last) {
			last = f.began
		}
		if i == 0 || f.ended.Before(first) {
			first = f.ended
		}
	}
	return len(failures) == 0 || last.Before(first)
}

func (c *crashing) run(delay string) error {
	if err := os.Mkdir(c.dir, 0o755); err != nil {
		return err
	}
	for _, step := range []func() error{
		func() error { return c.git("init", "-q", "-b", "main") },
		func() error { return os.WriteFile(filepath.Join(c.dir, "page.txt"), []byte("good"), 0o644) },
		func() error { return c.commit("web: webapp") },
		func() error { return c.git("push", "-q", c.remote(), "main") },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	good, err := c.output("git", "rev-parse", "HEAD")
	if err != nil {
		return err
	}
	stop := c.visit()
	err = c.push(delay, good)
	c.requests, c.failures = stop()
	if err != nil {
		return err
	}
	if !atOneMoment(c.failures) {
		return fmt.Errorf("%d of %d requests failed, not all in flight at the crash: %v",
			len(c.failures), c.requests, c.failures)
	}
	return nil
}

// push pushes a release that crashes, and checks that nothing changed.
func (c *crashing) push(delay, good string) error {
	if err := c.commit("web: webapp -crash-after " + delay); err != nil {
		return err
	}
	out, err := c.output("git", "push", c.remote(), "main")
	if err == nil {
		return fmt.Errorf("the push succeeded: %s", out)
	}
	if !strings.Contains(out, "v1 keeps serving") {
		return fmt.Errorf("the push failed in another way: %s", out)
	}
	at, err := c.output("git", "ls-remote", c.remote(), "refs/heads/main")
	if err != nil || !strings.HasPrefix(at, good) {
		return fmt.Errorf("the branch is at %s, %v", at, err)
	}
	live, err := os.Readlink(filepath.Join(c.ts.Getenv("PAAS_ROOT"), "apps", c.app, "live"))
	if err != nil || live != "releases/1" {
		return fmt.Errorf("%s is live, %v", live, err)
	}
	code, body, err := request(c.ts, c.app, "/")
	if err != nil || code != 200 || !strings.HasPrefix(body, "good") {
		return fmt.Errorf("the app answers %d %q, %v", code, body, err)
	}
	return nil
}

// visit sends 50 requests a second to the app until stop is called.
func (c *crashing) visit() (stop func() (requests int, failures []failure)) {
	quit := make(chan struct{})
	var mu sync.Mutex
	var requests int
	var failures []failure
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
				code, body, err := request(c.ts, c.app, "/")
				f := failure{began, time.Now(), fmt.Sprint(code, " ", err, " ", body)}
				mu.Lock()
				defer mu.Unlock()
				if requests++; err != nil || code != 200 {
					failures = append(failures, f)
				}
			})
		}
	})
	return func() (int, []failure) {
		close(quit)
		all.Wait()
		return requests, failures
	}
}

func (c *crashing) remote() string { return c.ts.Getenv("REMOTE") + "/" + c.app }

func (c *crashing) commit(procfile string) error {
	err := os.WriteFile(filepath.Join(c.dir, "Procfile"), []byte(procfile+"\n"), 0o644)
	if err != nil {
		return err
	}
	if err := c.git("add", "-A"); err != nil {
		return err
	}
	return c.git("commit", "-q", "-m", procfile)
}

func (c *crashing) git(args ...string) error {
	out, err := c.output("git", args...)
	if err != nil {
		return fmt.Errorf("git %s: %w: %s", args[0], err, out)
	}
	return nil
}

// output runs a program in the app's folder with the script's environment, and returns its output.
func (c *crashing) output(program string, args ...string) (string, error) {
	cmd := exec.Command(program, args...)
	cmd.Dir = c.dir
	cmd.Env = scriptEnv(c.ts, "GIT_SSH_COMMAND", "GIT_CONFIG_NOSYSTEM")
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}
