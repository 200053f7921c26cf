package watch

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/fsnotify/fsnotify"
)

// fakeEvents watches at most limit folders and reports only what a test sends.
type fakeEvents struct {
	limit  int
	added  map[string]bool
	closed bool
}

func (f *fakeEvents) Add(folder string) error {
	if f.added[folder] = true; len(f.added) > f.limit {
		return fmt.Errorf("add: %w", syscall.ENOSPC)
	}
	return nil
}
func (f *fakeEvents) Remove(folder string) error { delete(f.added, folder); return nil }
func (f *fakeEvents) Close() error               { f.closed = true; return nil }

// sensorRig is a sensor on a small tree with a fake clock.
type sensorRig struct {
	*sensor
	t        *testing.T
	dir      string
	now      time.Time
	events   *fakeEvents
	messages bytes.Buffer
}

func newRig(t *testing.T, files map[string]string, set func(*sensorRig)) *sensorRig {
	t.Helper()
	top, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(top, "app")
	write(t, dir, files)
	r := &sensorRig{t: t, dir: dir, now: time.Now(),
		events: &fakeEvents{limit: 100, added: map[string]bool{}}}
	r.sensor = &sensor{dir: dir, messages: &r.messages, burst: burst{delay: 300 * time.Millisecond}}
	r.open = func() (events, error) { return events{notifier: r.events}, nil }
	if set != nil {
		set(r)
	}
	r.firstScan(r.now)
	r.now = r.now.Add(time.Second) // as fast as a person edits
	return r
}

func (r *sensorRig) put(path, text string) { write(r.t, r.dir, map[string]string{path: text}) }

func (r *sensorRig) sendEvent(path string) {
	r.handleEvent(fsnotify.Event{Name: filepath.Join(r.dir, path)}, r.now)
}

// wait advances the clock until a burst is over. It returns how long that took and what changed.
func (r *sensorRig) wait(limit time.Duration) string {
	begin := r.now
	for end := r.now.Add(limit); r.nextWake().Before(end); {
		if next := r.nextWake(); next.After(r.now) {
			r.now = next
		}
		if r.wake(r.now) && len(r.changes) > 0 {
			text := fmt.Sprint(r.now.Sub(begin).Milliseconds(), " ms: ", r.changes)
			clear(r.changes)
			return text
		}
	}
	r.now = begin.Add(limit)
	return "nothing"
}

func (r *sensorRig) expect(step, got, want string) {
	r.t.Helper()
	if got != want {
		r.t.Errorf("%s: %s, not %s", step, got, want)
	}
}

func TestSensor(t *testing.T) {
	r := newRig(t, map[string]string{"a.js": "", "b.js": "", ".gitignore": "*.txt"}, nil)
	r.expect("nothing", r.wait(5*time.Second), "nothing")
	r.put("a.js", "1")
	r.sendEvent("a.js")
	r.expect("a save", r.wait(5*time.Second), "10 ms: a.js changed")
	r.put("a.js.tmp", "2")
	r.sendEvent("a.js.tmp")
	if err := os.Rename(filepath.Join(r.dir, "a.js.tmp"),
		filepath.Join(r.dir, "a.js")); err != nil {
		t.Fatal(err)
	}
	r.sendEvent("a.js.tmp")
	r.sendEvent("a.js")
	r.expect("an atomic save", r.wait(5*time.Second), "10 ms: a.js changed")
	r.put("c.js", "1")
	r.sendEvent("c.js")
	r.expect("a new file may be the first of many", r.wait(5*time.Second), "300 ms: c.js changed")
	r.sendEvent("a.js")
	r.put("x.txt", "")
	r.sendEvent("x.txt")
	r.expect("no change", r.wait(time.Second), "nothing")
	for i := range 20 {
		path := fmt.Sprint("new/", i)
		r.put(path, "")
		r.now = r.now.Add(50 * time.Millisecond)
		r.sendEvent("new")
		r.sendEvent(path)
	}
	r.expect("a checkout", r.wait(5*time.Second),
		"300 ms: 20 files changed (new/0, new/1, new/10, ...)")
}

// The first changes after a start wait for more.
func TestSensorAfterStart(t *testing.T) {
	r := newRig(t, map[string]string{"a.js": ""}, nil)
	r.started = r.now
	r.put("a.js", "1")
	r.sendEvent("a.js")
	r.expect("a save", r.wait(time.Second), "300 ms: a.js changed")
}

func TestSensorWhileGitWrites(t *testing.T) {
	r := newRig(t, map[string]string{"a.js": "", ".git/HEAD": ""}, nil)
	r.put(".git/index.lock", "")
	r.put("a.js", "1")
	r.sendEvent("a.js")
	r.expect("git has not ended", r.wait(1900*time.Millisecond), "nothing")
	r.put("b.js", "1") // with a late event
	if err := os.Remove(filepath.Join(r.dir, ".git/index.lock")); err != nil {
		t.Fatal(err)
	}
	if got := r.wait(60 * time.Millisecond); !strings.HasSuffix(got,
		"2 files changed (a.js, b.js)") {
		t.Error(got)
	}
	r.put(".git/index.lock", "")
	r.put("a.js", "12")
	r.sendEvent("a.js")
	if got := r.wait(2100 * time.Millisecond); !strings.HasSuffix(got, "a.js changed") {
		t.Errorf("it waits for a person who writes a message: %s", got)
	}
}

// After lost events a scan finds the changes, as one burst.
func TestSensorOverflow(t *testing.T) {
	r := newRig(t, map[string]string{"a.js": ""}, nil)
	r.put("x/y.js", "")
	r.put("a.js", "1")
	r.eventsLost(r.now)
	r.expect("overflow", r.wait(time.Second), "300 ms: 2 files changed (a.js, x/y.js)")
	if !r.events.added[filepath.Join(r.dir, "x")] {
		t.Error("the new folder is not watched")
	}
	for i := range maxDirty + 10 {
		r.sendEvent(fmt.Sprint("gone", i))
	}
	r.put("x/z.js", "")
	r.expect("more events than are kept", r.wait(5*time.Second), "300 ms: x/z.js changed")
}

func TestSensorWithoutWatches(t *testing.T) {
	for name, set := range map[string]func(*sensorRig){
		limitMessage(syscall.ENOSPC): func(r *sensorRig) { r.events.limit = 2 },
		limitMessage(syscall.EMFILE): func(r *sensorRig) {
			r.open = func() (events, error) {
				return events{}, syscall.EMFILE
			}
		},
		"it broke": func(r *sensorRig) {
			r.open = func() (events, error) {
				return events{},
					errors.New("it broke")
			}
		},
	} {
		r := newRig(t, map[string]string{"a.js": "", "x/b.js": "", "y/c.js": ""}, set)
		if said := r.messages.String(); !strings.Contains(said, name) ||
			strings.Count(said, "\n") != 1 {
			t.Errorf("%q, not %q", said, name)
		}
		if !r.poll || r.sensor.events.notifier != nil || r.events.limit == 2 && !r.events.closed {
			t.Errorf("%s: it still waits for events", name)
		}
		r.put("x/b.js", "1")
		if got := r.wait(5 * time.Second); !strings.HasSuffix(got, "x/b.js changed") {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// A limit of the kernel is named with a value that is enough.
func TestLimitMessage(t *testing.T) {
	for err, limit := range map[error]struct{ what, setting string }{
		fmt.Errorf("add: %w", syscall.ENOSPC): {"watches", "max_user_watches"},
		fmt.Errorf("new: %w", syscall.EMFILE): {"instances", "max_user_instances"},
	} {
		content, readErr := os.ReadFile("/proc/sys/fs/inotify/" + limit.setting)
		if readErr != nil {
			t.Skipf("SKIP: this system has no such limit: %v", readErr)
		}
		var now int
		fmt.Sscan(string(content), &now)
		want := fmt.Sprintf("this user's %d inotify %s are used up "+
			"(sysctl fs.inotify.%s=%d allows more)", now, limit.what, limit.setting, 4*now)
		if got := limitMessage(err); got != want {
			t.Errorf("%q, not %q", got, want)
		}
	}
}

// It is the same if watches run out later.
func TestSensorRunsOutOfWatches(t *testing.T) {
	r := newRig(t, map[string]string{"a.js": ""}, func(r *sensorRig) { r.events.limit = 4 })
	r.put("x/y/z/a.js", "")
	r.sendEvent("x")
	if got := r.wait(5 * time.Second); !strings.HasSuffix(got, "x/y/z/a.js changed") {
		t.Error(got)
	}
	r.put("x/y/z/a.js", "1")
	if got := r.wait(5 * time.Second); !r.poll || !strings.HasSuffix(got, "x/y/z/a.js changed") {
		t.Error(got)
	}
}

// A build of .NET beside its project is no change, also if the project came later.
func TestSensorDotnetBuild(t *testing.T) {
	r := newRig(t, map[string]string{"a.cs": "", "obj/of/another": ""}, nil)
	r.put("App.csproj", "")
	r.sendEvent("App.csproj")
	if got := r.wait(5 * time.Second); !strings.HasSuffix(got, " App.csproj changed") {
		t.Error(got)
	}
	for _, path := range []string{"bin", "obj", "obj/of/another", "obj/project.assets.json"} {
		if path != "bin" && path != "obj" {
			r.put(path, "built")
		}
		r.sendEvent(path)
	}
	r.put("bin/App.dll", "built")
	r.expect("a build", r.wait(time.Minute), "nothing")
	r.put("App.csproj", "another")
	r.sendEvent("App.csproj")
	r.expect("the project", r.wait(5*time.Second), "10 ms: App.csproj changed")
}

// Polling also waits until a burst is over.
func TestSensorPolls(t *testing.T) {
	r := newRig(t, map[string]string{"a.js": ""}, func(r *sensorRig) { r.poll = true })
	if len(r.events.added) > 0 {
		t.Errorf("watched are %v", r.events.added)
	}
	r.put("a.js", "1")
	for r.changes = (changes{}); len(r.changes) == 0; { // until a scan has found it
		r.now = r.nextWake()
		if r.wake(r.now) {
			t.Fatal("it did not scan again")
		}
	}
	r.put("b.js", "1")
	r.now = r.nextWake()
	if r.wake(r.now) {
		t.Error("the burst ended although it added a file")
	}
	if got := r.wait(5 * time.Second); !strings.HasSuffix(got, " 2 files changed (a.js, b.js)") {
		t.Error(got)
	}
}

// When a scan finds a change without an event, polling takes over.
func TestSensorWithoutEvents(t *testing.T) {
	r := newRig(t, map[string]string{"a.js": ""}, nil)
	r.put("a.js", "1")
	got := r.wait(30 * time.Second)
	r.put("a.js", "12")
	if again := r.wait(3 * time.Second); !strings.HasSuffix(again, "a.js changed") {
		t.Errorf("then it does not poll every second: %s", again)
	}
	if !strings.HasSuffix(got, "a.js changed") || !r.poll ||
		!strings.Contains(r.messages.String(), "cause no events") {
		t.Errorf("%s, %q", got, r.messages.String())
	}

	r = newRig(t, map[string]string{"a.js": ""}, nil)
	r.put("a.js", "1")
	r.now = r.nextScan
	r.wake(r.now)
	r.sendEvent("a.js") // the event was only late
	if got := r.wait(5 * time.Second); !strings.HasSuffix(got, "a.js changed") || r.poll {
		t.Errorf("%s, %q", got, r.messages.String())
	}
}

func (r *sensorRig) setMarker(state string) {
	r.t.Helper()
	path := filepath.Join(r.dir, "..", "worktree.json")
	if err := os.WriteFile(path+".new",
		fmt.Appendf(nil, `{"state":%q,"commit":"c0ffee","files":{"a.js":`, state),
		0o644); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		r.t.Fatal(err)
	}
	r.sendEvent("../worktree.json")
}

func TestSensorMarker(t *testing.T) {
	r := newRig(t, map[string]string{"a.js": ""}, nil)
	r.setMarker("settled")
	r.expect("no files", r.wait(5*time.Second), "nothing")

	r.setMarker("updating")
	r.put("a.js", "1")
	r.sendEvent("a.js")
	r.expect("updating", r.wait(20*time.Second), "nothing")
	r.put("b.js", "1")
	r.sendEvent("b.js")
	r.setMarker("settled")
	r.expect("settled", r.wait(5*time.Second), "0 ms: 2 files changed (a.js, b.js)")

	r.setMarker("updating")
	for i := range 10 {
		r.put(fmt.Sprint(i), "")
		r.sendEvent(fmt.Sprint(i))
	}
	r.setMarker("settled")
	r.expect("at once", r.wait(5*time.Second), "0 ms: 10 files changed (0, 1, 2, ...)")

	r.setMarker("updating")
	r.setMarker("settled")
	r.expect("settled again", r.wait(5*time.Second), "nothing")

	r.setMarker("updating") // then its writer is killed
	r.put("a.js", "22")
	r.sendEvent("a.js")
	if got := r.wait(40 * time.Second); !strings.HasSuffix(got, "a.js changed") {
		t.Error(got)
	}
	r.put("a.js", "333")
	r.sendEvent("a.js")
	r.expect("not held a second time", r.wait(5*time.Second), "10 ms: a.js changed")
}

// The marker's event may be missing, or come before those of the files.
func TestSensorMarkerWithoutEvent(t *testing.T) {
	r := newRig(t, map[string]string{"a.js": "", "b.js": ""}, nil)
	r.setMarker("updating")
	r.put("a.js", "1")
	r.sendEvent("a.js")
	r.expect("updating", r.wait(50*time.Millisecond), "nothing")
	r.put("b.js", "1")
	path := filepath.Join(r.dir, "..", "worktree.json")
	if err := os.WriteFile(path, []byte(`{"state":"settled"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := r.wait(5 * time.Second); !strings.HasSuffix(got, "ms: 2 files changed (a.js, b.js)") {
		t.Error(got)
	}
	r.sendEvent("b.js")
	r.expect("late", r.wait(5*time.Second), "nothing")
}

func TestStateIn(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "{}": "", "[]": "", `{"state":"updating"}`: "updating",
		`{"commit":"x","state":"settled","fi`: "settled",
		`{"state":1,"state":"updating"}`:      "updating", `{"x":{"state":"updating"}}`: "",
		`"state"`: "", "null": "",
	} {
		if got := parseState(strings.NewReader(text)); got != want {
			t.Errorf("%s: %q, not %q", text, got, want)
		}
	}
	for root, want := range map[string]string{
		"/paas/apps/blog/worktree":       "/paas/apps/blog/worktree.json",
		"/paas/apps/blog/worktree/src/x": "/paas/apps/blog/worktree.json", "/app": "/worktree.json",
		"/srv/app": "/srv/worktree.json",
	} {
		if got := markerPath(root); got != want {
			t.Errorf("%s: %s, not %s", root, got, want)
		}
	}
}

func FuzzStateIn(f *testing.F) {
	f.Add(`{"state":"updating","commit":"1"`)
	f.Fuzz(func(t *testing.T, text string) { parseState(strings.NewReader(text)) })
}

// The folder may be deleted and created again, be a link, or be behind a link that is switched.
func TestSensorFolderMoves(t *testing.T) {
	r := newRig(t, map[string]string{"a.js": "", "x/b.js": ""}, nil)
	away := r.dir + ".away"
	if err := os.Rename(r.dir, away); err != nil {
		t.Fatal(err)
	}
	r.sendEvent("")
	r.expect("moved away", r.wait(5*time.Second), "nothing")
	if !strings.Contains(r.messages.String(), "does not exist; waiting for it") {
		t.Error(r.messages.String())
	}
	r.put("a.js", "1")
	r.put("x/c.js", "")
	if got := r.wait(5 * time.Second); !strings.HasSuffix(got,
		" 3 files changed (a.js, x/b.js, x/c.js)") {
		t.Error(got)
	}

	top := filepath.Dir(r.dir)
	for _, err := range []error{os.Symlink("app", filepath.Join(top, "current")),
		os.Mkdir(filepath.Join(top, "home"), 0o755),
		os.Symlink("../current/", filepath.Join(top, "home/link"))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	linked := newRig(t, nil,
		func(l *sensorRig) { l.sensor.dir = filepath.Join(top, "home/link/x") })
	linked.dir = filepath.Join(top, "home/link/x")
	for _, folder := range []string{top, filepath.Join(top, "home"), r.dir,
		filepath.Join(r.dir, "x")} {
		if !linked.events.added[folder] {
			t.Errorf("%s is not watched: %v", folder, linked.events.added)
		}
	}
	for _, err := range []error{os.Symlink(away, filepath.Join(top, "new")),
		os.Rename(filepath.Join(top, "new"), filepath.Join(top, "current"))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	linked.handleEvent(fsnotify.Event{Name: filepath.Join(top, "current")}, linked.now)
	linked.expect("flipped", linked.wait(5*time.Second), "10 ms: 2 files changed (b.js, c.js)")
	if !linked.events.added[filepath.Join(away, "x")] ||
		linked.events.added[filepath.Join(r.dir, "x")] {
		t.Errorf("watched are %v", linked.events.added)
	}
	linked.put("b.js", "12")
	linked.handleEvent(fsnotify.Event{Name: filepath.Join(away, "x/b.js")}, linked.now)
	linked.expect("after the flip", linked.wait(5*time.Second), "10 ms: b.js changed")
}
