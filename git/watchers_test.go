package git

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// A new folder exists for 50 ms before its first file, also if a file had its name, and for 10 ms
// before another new folder in it. Without new folders there is no wait.
func TestWatcherDelay(t *testing.T) {
	r := newRepo(t)
	before := files{"a": "-1", "d/b": "-1", "f": "-1", "g": "-1"}
	for name, test := range map[string]struct {
		after files
		want  time.Duration
	}{
		"changes":             {files{"a": "-2", "d/b": "-2", "d/c": "-1", "e": "-1"}, 0},
		"a folder goes":       {files{"a": "-1"}, 0},
		"a file for a folder": {files{"a": "-1", "d": "-1", "f": "-1"}, 0},
		"a new folder":        {files{"a": "-1", "new/x": "-1"}, 50 * time.Millisecond},
		"nested ones": {files{"a": "-1", "new/x/y/z": "-1", "d/n/x": "-1"},
			70 * time.Millisecond},
		"a folder for a file": {files{"a": "-1", "f/x": "-1", "g/h/x": "-1"},
			60 * time.Millisecond},
		"some for files, a new":  {files{"f/x": "-1", "new/x": "-1"}, 100 * time.Millisecond},
		"a folder the app made":  {files{"a": "-1", "apps/x": "-1"}, 0},
		"one inside the app's":   {files{"a": "-1", "apps/x/y": "-1"}, 50 * time.Millisecond},
		"a link in its place":    {files{"a": "-1", "link/x": "-1"}, 50 * time.Millisecond},
		"nothing but deletions ": {files{"f": "-1"}, 0},
	} {
		c := commits(t, r, before, test.after)
		w := newWorktree(t, t.TempDir())
		w.mustTo(t, r, c[0])
		if err := os.Mkdir(w.path("apps"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink("d", w.path("link")); err != nil {
			t.Fatal(err)
		}
		w.watcherDelay = 0 // the default
		synctest.Test(t, func(t *testing.T) {
			began := time.Now() // fake time: only timers advance it
			if _, err := w.to(t.Context(), r, c[1]); err != nil {
				t.Fatal(err)
			}
			if waited := time.Since(began); waited != test.want {
				t.Errorf("%s: waited %s, want %s", name, waited, test.want)
			}
		})
	}
}

// An update that is cancelled during the wait leaves the folder unchanged.
func TestWatcherDelayInterrupted(t *testing.T) {
	r := newRepo(t)
	c := commits(t, r, files{"a": "-1"}, files{"a": "-2", "new/deep/b": "-1"})
	w := newWorktree(t, t.TempDir())
	w.mustTo(t, r, c[0])
	w.watcherDelay = time.Hour
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err := w.to(ctx, r, c[1]); err != context.DeadlineExceeded {
			t.Error(err)
		}
	})
	w.at(t, c[0], true)
	compareTrees(t, "as before", readTree(t, w.Dir), fresh(t, r, c[0]))
}

// watcher is a running program that prints what it observes.
type watcher struct {
	t     *testing.T
	lines chan string
	seen  []string
}

// startWatcher starts a program that prints ready and then a line for each event.
func startWatcher(t *testing.T, ready, name string, args ...string) *watcher {
	t.Helper()
	if _, err := exec.LookPath(name); err != nil {
		t.Skipf("SKIP: %s is not installed", name)
	}
	cmd := exec.Command(name, args...)
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	t.Cleanup(func() { cmd.Process.Kill(); cmd.Wait(); r.Close() })
	o := &watcher{t: t, lines: make(chan string, 10_000)}
	go func() {
		defer close(o.lines)
		for s := bufio.NewScanner(r); s.Scan(); {
			o.lines <- s.Text()
		}
	}()
	o.until(ready)
	return o
}

// until reads until all of lines have been printed.
func (o *watcher) until(lines ...string) {
	o.t.Helper()
	timeout := time.After(time.Minute)
	for {
		missing := slices.DeleteFunc(slices.Clone(lines),
			func(l string) bool { return slices.Contains(o.seen, l) })
		if len(missing) == 0 {
			return
		}
		select {
		case line, ok := <-o.lines:
			if !ok {
				o.t.Fatalf("ended, and had seen %q", o.seen)
			}
			o.seen = append(o.seen, line)
		case <-timeout:
			o.t.Fatalf("not seen: %q, but %q", missing, o.seen)
		}
	}
}

// inotifywait, like many watchers, adds a watch after it has learned of a new folder.
func inotifywait(t *testing.T, dir string) *watcher {
	return startWatcher(t, "Watches established.", "inotifywait", "-m", "-r", "--format", "%e %w%f",
		dir)
}

// nodeWatch is Node's own watcher.
func nodeWatch(t *testing.T, dir string) *watcher {
	return startWatcher(t, "ready", "node", "-e", `
		require("fs").watch(process.argv[1], {recursive: true}, (event, name) => console.log(name))
		console.log("ready")`, dir)
}

// twelve returns files in as many new folders, beside and inside each other.
func twelve() (all files, names []string) {
	all = files{"a": "-2"}
	for i := range 6 {
		names = append(names, fmt.Sprintf("new%d/f", i), fmt.Sprintf("deep/%d/er/f", i))
	}
	for _, name := range names {
		all[name] = "-1"
	}
	return all, names
}

// Real watchers see each file in a new folder. They get much longer than 50 ms here, because the
// machine may be busy.
func TestWatchersSeeNewFolders(t *testing.T) {
	r := newRepo(t)
	after, names := twelve()
	c := commits(t, r, files{"a": "-1"}, after)
	for name, watch := range map[string]func(t *testing.T,
		dir string) *watcher{"inotifywait": inotifywait, "node": nodeWatch} {
		t.Run(name, func(t *testing.T) {
			w := newWorktree(t, t.TempDir())
			w.mustTo(t, r, c[0])
			o := watch(t, w.Dir)
			w.watcherDelay = 2 * time.Second
			w.mustTo(t, r, c[1])
			if name == "node" {
				o.until(names...)
				return
			}
			w.write(t, "end", "")
			o.until("CREATE " + w.path("end")) // all earlier events have been printed
			missed := slices.DeleteFunc(slices.Clone(names),
				func(n string) bool { return slices.Contains(o.seen, "MOVED_TO "+w.path(n)) })
			if len(missed) > 0 {
				t.Errorf("missed %q of 12", missed)
			}
		})
	}
}

// A folder that is replaced by a file or a link is emptied in place: first the commit's own files,
// then the app's, then the folders. Watchers see each removal and the folder's end.
func TestFolderIsEmptiedInPlace(t *testing.T) {
	r := newRepo(t)
	for name, what := range map[string]string{"file": "-1", "link": "la"} {
		t.Run(name, func(t *testing.T) {
			c := commits(t, r,
				files{"a": "-1", "d/b": "-1", "d/e/f": "-1", "z": "-1", "gone": "-1"},
				files{"a": "-2", "d": what, "z": "-2"},
				files{"a": "-3", "d": what, "z": "-3"})
			w := newWorktree(t, t.TempDir())
			w.mustTo(t, r, c[0])
			w.write(t, "d/app", "mine")
			w.write(t, "d/e/app", "mine")
			o := inotifywait(t, w.Dir)
			if got := w.mustTo(t, r, c[1]); !slices.Equal(got.Displaced, []string{"d"}) ||
				got.Written != 3 || got.Removed != 3 {
				t.Errorf("%+v", got)
			}
			compareTrees(t, "after", readTree(t, w.Dir), fresh(t, r, c[1]))
			w.write(t, "end", "")
			o.until("CREATE " + w.path("end"))
			for i, line := range o.seen {
				what, path, _ := strings.Cut(line, " ")
				o.seen[i] = what + " " + strings.TrimPrefix(path, w.Dir+"/")
			}
			told := slices.DeleteFunc(slices.Clone(o.seen), func(l string) bool {
				return !strings.HasPrefix(l, "DELETE ") && !strings.Contains(l, "MOVED") &&
					l != "DELETE,ISDIR d"
			})
			want := []string{"MOVED_TO a", "MOVED_TO z", "DELETE gone", "DELETE d/b",
				"DELETE d/e/f", "DELETE d/app", "DELETE d/e/app", "DELETE,ISDIR d", "MOVED_TO d"}
			if !slices.Equal(told, want) {
				t.Errorf("the watcher saw %q, want %q", told, want)
			}
		})
	}
}

// An app that keeps writing to such a folder cannot prevent that.
func TestReplaceFolderInUse(t *testing.T) {
	r := newRepo(t)
	c := commits(t, r, files{"a": "-1", "d/b": "-1"}, files{"a": "-1", "d": "la"})
	w := newWorktree(t, t.TempDir())
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for i := 0; ctx.Err() == nil; i++ {
			os.WriteFile(w.path(fmt.Sprintf("d/%d", i%500)), nil, 0o644)
		}
	}()
	for range 10 {
		w.mustTo(t, r, c[0])
		w.mustTo(t, r, c[1])
		if target, err := os.Readlink(w.path("d")); target != "a" {
			t.Error(target, err)
		}
	}
	stop()
	<-ended
}

// A file's modification time is when it appeared, not when it was written seconds earlier, because
// a build in between has not read it.
func TestModificationTimes(t *testing.T) {
	r := newRepo(t)
	c := commits(t, r, files{"a": "-1", "old": "-1", "d/e": "-1"},
		files{"a": "-2", "b": "-1", "new/c": "x1", "d": "la"})
	w := newWorktree(t, t.TempDir())
	w.mustTo(t, r, c[0])
	first := map[string]time.Time{}
	for name := range readTree(t, w.Dir) {
		first[name] = must(t, os.Lstat, w.path(name)).ModTime()
	}
	probe := filepath.Join(t.TempDir(), "probe")
	var now time.Time
	tick := func() { // waits for the file system's coarse clock
		for before := now; !now.After(before); now = must(t, os.Stat, probe).ModTime() {
			if err := os.WriteFile(probe, []byte("x"), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	tick()
	seen := map[string]bool{}
	step := func() {
		for name, what := range readTree(t, w.Dir) {
			info, err := os.Lstat(w.path(name))
			if err != nil || what[0] == 'd' || seen[name] || info.ModTime().Equal(first[name]) {
				continue
			}
			seen[name] = true
			if info.ModTime().Before(now) {
				t.Errorf("%s appeared after %s, and is of %s", name, now, info.ModTime())
			}
		}
		tick()
	}
	if _, err := w.to(&stepContext{Context: t.Context(), step: step}, r, c[1]); err != nil {
		t.Fatal(err)
	}
	step()
	for _, name := range []string{"a", "b", "new/c", "d"} {
		if !seen[name] {
			t.Errorf("%s was not seen to appear", name)
		}
	}
}

// stepContext calls step whenever Err is called.
type stepContext struct {
	context.Context
	step func()
}

func (e *stepContext) Err() error { e.step(); return e.Context.Err() }
