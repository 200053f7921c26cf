//go:build linux

package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// kind describes one app of the day.
type kind struct {
	name    string
	node    bool // a program, in app/; otherwise a static site
	checked bool // has a health check of a page, not only of its port
}

// apps are the apps of each day.
var apps = []kind{{"blog", true, true}, {"shop", true, true}, {"wiki", true, false},
	{"page", false, false}}

// app is one app: what was pushed, what it may answer, and when failures are excused.
type app struct {
	kind
	clone string
	model *model

	// Only the current operation or check uses these; they do not overlap.
	versions  int
	version   map[string]string // by commit
	colors    int
	diverged  bool              // after a forced push, only forced pushes are sure to work
	notes     map[string]string // content of DATA_DIR that must be there
	possible  map[string]string // content that may be there
	released  map[int]state     // what is known of its releases
	history   []release         // as of the last check
	formation map[string]int    // as ps:scale set it; nil: unknown

	mu      sync.Mutex
	excuses []*excuse
}

// excuse is a time in which visitors may go without answers, and the reason.
type excuse struct {
	why         string
	from, until time.Time // until is zero while it lasts
}

func newApp(k kind, dir string, now time.Time) *app {
	a := &app{kind: k, clone: filepath.Join(dir, k.name), version: map[string]string{},
		model: newModel(now, state{Gone: true})}
	a.forget()
	return a
}

// forget resets what is known of the app, after it was destroyed.
func (a *app) forget() {
	a.notes, a.possible = map[string]string{}, map[string]string{}
	a.released, a.history = map[int]state{}, nil
	a.formation = map[string]int{"web": 1, "worker": 0}
}

// excuse allows failed visits from now on, until over is called.
func (a *app) excuse(why string) (over func()) {
	e := &excuse{why: why, from: time.Now()}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.excuses = append(a.excuses, e)
	return func() {
		a.mu.Lock()
		defer a.mu.Unlock()
		e.until = time.Now()
	}
}

// excused returns the reason if failures were allowed at any moment between question and answer,
// and otherwise "".
func (a *app) excused(asked, done time.Time) string {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range a.excuses {
		if !e.from.After(done) && (e.until.IsZero() || !e.until.Before(asked)) {
			return e.why
		}
	}
	return ""
}

// certain reports whether only one state is possible, and the app serves in it. Operations that do
// not create the app need this.
func (a *app) certain() bool {
	may := a.model.states()
	return len(may) == 1 && may[0].serves()
}

//go:embed app
var nodeFiles embed.FS

// commit describes the fault of a commit, and whether it is slow.
type commit struct {
	fault string // build, boot, mute, health or release; empty: none
	slow  bool   // to build and to boot
}

// commit writes the app's files and commits them. It returns the version of the commit.
func (p *person) commit(ctx context.Context, a *app, c commit) (version string, err error) {
	if _, err := os.Stat(filepath.Join(a.clone, ".git")); errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(a.clone, 0o755); err != nil {
			return "", err
		}
		if _, err := p.Git(ctx, a.clone, "init", "-q", "-b", "main"); err != nil {
			return "", err
		}
		if _, err := p.Git(ctx, a.clone, "remote", "add", "paas", p.remote(a.name)); err != nil {
			return "", err
		}
	}
	a.versions++
	version = fmt.Sprintf("%s-%d", a.name, a.versions)
	if err := a.write(version, c); err != nil {
		return "", err
	}
	for _, args := range [][]string{{"add", "-A"}, {"commit", "-q", "-m", version}} {
		if _, err := p.Git(ctx, a.clone, args...); err != nil {
			return "", err
		}
	}
	sha, err := p.Git(ctx, a.clone, "rev-parse", "HEAD")
	if len(sha) >= 40 {
		a.version[sha[:40]] = version
	}
	return version, err
}

// write writes the files of one version.
func (a *app) write(version string, c commit) error {
	put := func(name, text string, mode os.FileMode) error {
		path := filepath.Join(a.clone, name)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		return errors.Join(err, os.WriteFile(path, []byte(text), mode))
	}
	if !a.node {
		err := put("index.html", "<!doctype html><title>page</title>"+version+"\n", 0o644)
		os.Remove(filepath.Join(a.clone, "Procfile"))
		if c.fault != "" {
			err = errors.Join(err, put("Procfile", "web: false\n", 0o644))
		}
		return err
	}
	err := fs.WalkDir(nodeFiles, "app", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		text, err := nodeFiles.ReadFile(path)
		name, _ := filepath.Rel("app", path)
		if name == "app.json" && !a.checked {
			return err
		}
		mode := os.FileMode(0o644)
		if filepath.Dir(name) == "bin" {
			mode = 0o755
		}
		return errors.Join(err, put(name, string(text), mode))
	})
	slow := "0"
	if c.slow {
		slow = "1"
	}
	return errors.Join(err, put("version.txt", version+"\n", 0o644),
		put("z/version.txt", version+"\n", 0o644),
		put("fault.txt", c.fault+"\n", 0o644), put("slow.txt", slow+"\n", 0o644))
}
