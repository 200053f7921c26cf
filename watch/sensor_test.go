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

// fakeEvents watches at most limit folders and tells only what a test sends.
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

// rig is a sensor on a small tree, whose time is the test's.
type rig struct {
	*sensor
	t        *testing.T
	dir      string
	now      time.Time
	events   *fakeEvents
	messages bytes.Buffer
}

func newRig(t *testing.T, files map[string]string, set func(*rig)) *rig {
	t.Helper()
	top, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(top, "app")
	write(t, dir, files)
	r := &rig{t: t, dir: dir, now: time.Now(), events: &fakeEvents{limit: 100, added: map[string]bool{}}}
	r.sensor = &sensor{dir: dir, messages: &r.messages, burst: burst{delay: 300 * time.Millisecond}}
	r.open = func() (events, error) { return events{notifier: r.events}, nil }
	if set != nil {
		set(r)
	}
	r.begin(r.now)
	r.now = r.now.Add(time.Second) // the pace of somebody who edits
	return r
}

func (r *rig) put(path, text string) { write(r.t, r.dir, map[string]string{path: text}) }

func (r *rig) tell(path string) { r.event(fsnotify.Event{Name: filepath.Join(r.dir, path)}, r.now) }

// wait lets the time pass until a burst is over, and says how long that took and what changed.
func (r *rig) wait(limit time.Duration) string {
	begin := r.now
	for end := r.now.Add(limit); r.next().Before(end); {
		if next := r.next(); next.After(r.now) {
			r.now = next
		}
		if r.wake(r.now) && len(r.found) > 0 {
			text := fmt.Sprint(r.now.Sub(begin).Milliseconds(), " ms: ", r.found)
			clear(r.found)
			return text
		}
	}
	r.now = begin.Add(limit)
	return "nothing"
}

func (r *rig) expect(step, got, want string) {
	r.t.Helper()
	if got != want {
		r.t.Errorf("%s: %s, not %s", step, got, want)
	}
}

func TestSensor(t *testing.T) {
	r := newRig(t, map[string]string{"a.js": "", "b.js": "", ".gitignore": "*.txt"}, nil)
	r.expect("nothing", r.wait(5*time.Second), "nothing")
	r.put("a.js", "1")
	r.tell("a.js")
	r.expect("a save", r.wait(5*time.Second), "10 ms: a.js changed")
	r.put("a.js.tmp", "2")
	r.tell("a.js.tmp")
	if err := os.Rename(filepath.Join(r.dir, "a.js.tmp"), filepath.Join(r.dir, "a.js")); err != nil {
		t.Fatal(err)
	}
	r.tell("a.js.tmp")
	r.tell("a.js")
	r.expect("an atomic save", r.wait(5*time.Second), "10 ms: a.js changed")
	r.put("c.js", "1")
	r.tell("c.js")
	r.expect("a new file may be the first of many", r.wait(5*time.Second), "300 ms: c.js changed")
	r.tell("a.js")
	r.put("x.txt", "")
	r.tell("x.txt")
	r.expect("no change", r.wait(time.Second), "nothing")
	for i := range 20 {
		path := fmt.Sprint("new/", i)
		r.put(path, "")
		r.now = r.now.Add(50 * time.Millisecond)
		r.tell("new")
		r.tell(path)
	}
	r.expect("a checkout", r.wait(5*time.Second), "300 ms: 20 files changed (new/0, new/1, new/10, ...)")
}

// The first changes after a start are taken for the beginning of more.
func TestSensorAfterStart(t *testing.T) {
	r := newRig(t, map[string]string{"a.js": ""}, nil)
	r.started = r.now
	r.put("a.js", "1")
	r.tell("a.js")
	r.expect("a save", r.wait(time.Second), "300 ms: a.js changed")
}

func TestSensorWhileGitWrites(t *testing.T) {
	r := newRig(t, map[string]string{"a.js": "", ".git/HEAD": ""}, nil)
	r.put(".git/index.lock", "")
	r.put("a.js", "1")
	r.tell("a.js")
	r.expect("git has not ended", r.wait(1900*time.Millisecond), "nothing")
	r.put("b.js", "1") // its event comes late
	if err := os.Remove(filepath.Join(r.dir, ".git/index.lock")); err != nil {
		t.Fatal(err)
	}
	if got := r.wait(60 * time.Millisecond); !strings.HasSuffix(got, "2 files changed (a.js, b.js)") {
		t.Error(got)
	}
	r.put(".git/index.lock", "")
	r.put("a.js", "12")
	r.tell("a.js")
	if got := r.wait(2100 * time.Millisecond); !strings.HasSuffix(got, "a.js changed") {
		t.Errorf("it waits for a person who writes a message: %s", got)
	}
}

// Lost events are looked for, and are one burst.
func TestSensorOverflow(t *testing.T) {
	r := newRig(t, map[string]string{"a.js": ""}, nil)
	r.put("x/y.js", "")
	r.put("a.js", "1")
	r.failed(r.now)
	r.expect("overflow", r.wait(time.Second), "300 ms: 2 files changed (a.js, x/y.js)")
	if !r.events.added[filepath.Join(r.dir, "x")] {
		t.Error("the new folder is not watched")
	}
	for i := range mostDirt + 10 {
		r.tell(fmt.Sprint("gone", i))
	}
	r.put("x/z.js", "")
	r.expect("more events than are kept", r.wait(5*time.Second), "300 ms: x/z.js changed")
}

func TestSensorWithoutWatches(t *testing.T) {
	for name, set := range map[string]func(*rig){
		"fs.inotify.max_user_watches is used up":   func(r *rig) { r.events.limit = 2 },
		"fs.inotify.max_user_instances is used up": func(r *rig) { r.open = func() (events, error) { return events{}, syscall.EMFILE } },
		"it broke": func(r *rig) { r.open = func() (events, error) { return events{}, errors.New("it broke") } },
	} {
		r := newRig(t, map[string]string{"a.js": "", "x/b.js": "", "y/c.js": ""}, set)
		if said := r.messages.String(); !strings.Contains(said, name) || strings.Count(said, "\n") != 1 {
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

// Watches that run out later change nothing either.
func TestSensorRunsOutOfWatches(t *testing.T) {
	r := newRig(t, map[string]string{"a.js": ""}, func(r *rig) { r.events.limit = 4 })
	r.put("x/y/z/a.js", "")
	r.tell("x")
	if got := r.wait(5 * time.Second); !strings.HasSuffix(got, "x/y/z/a.js changed") {
		t.Error(got)
	}
	r.put("x/y/z/a.js", "1")
	if got := r.wait(5 * time.Second); !r.poll || !strings.HasSuffix(got, "x/y/z/a.js changed") {
		t.Error(got)
	}
}

// Polling waits, too, until a burst is over.
func TestSensorPolls(t *testing.T) {
	r := newRig(t, map[string]string{"a.js": ""}, func(r *rig) { r.poll = true })
	if len(r.events.added) > 0 {
		t.Errorf("watched are %v", r.events.added)
	}
	r.put("a.js", "1")
	for r.found = (changes{}); len(r.found) == 0; { // until a look has found it
		r.now = r.next()
		if r.wake(r.now) {
			t.Fatal("it did not look again")
		}
	}
	r.put("b.js", "1")
	r.now = r.next()
	if r.wake(r.now) {
		t.Error("the burst was over though it brought another file")
	}
	if got := r.wait(5 * time.Second); !strings.HasSuffix(got, " 2 files changed (a.js, b.js)") {
		t.Error(got)
	}
}

// A look that finds what no event told ends the trust in events.
func TestSensorWithoutEvents(t *testing.T) {
	r := newRig(t, map[string]string{"a.js": ""}, nil)
	r.put("a.js", "1")
	got := r.wait(30 * time.Second)
	r.put("a.js", "12")
	if again := r.wait(3 * time.Second); !strings.HasSuffix(again, "a.js changed") {
		t.Errorf("then it did not look each second: %s", again)
	}
	if !strings.HasSuffix(got, "a.js changed") || !r.poll || !strings.Contains(r.messages.String(), "without events") {
		t.Errorf("%s, %q", got, r.messages.String())
	}

	r = newRig(t, map[string]string{"a.js": ""}, nil)
	r.put("a.js", "1")
	r.now = r.nextLook
	r.wake(r.now)
	r.tell("a.js") // it was only late
	if got := r.wait(5 * time.Second); !strings.HasSuffix(got, "a.js changed") || r.poll {
		t.Errorf("%s, %q", got, r.messages.String())
	}
}

func (r *rig) mark(state string) {
	r.t.Helper()
	path := filepath.Join(r.dir, "..", "worktree.json")
	if err := os.WriteFile(path+".new", fmt.Appendf(nil, `{"state":%q,"commit":"c0ffee","files":{"a.js":`, state), 0o644); err != nil {
		r.t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		r.t.Fatal(err)
	}
	r.tell("../worktree.json")
}

func TestSensorMarker(t *testing.T) {
	r := newRig(t, map[string]string{"a.js": ""}, nil)
	r.mark("settled")
	r.expect("no files", r.wait(5*time.Second), "nothing")

	r.mark("updating")
	r.put("a.js", "1")
	r.tell("a.js")
	r.expect("updating", r.wait(20*time.Second), "nothing")
	r.put("b.js", "1")
	r.tell("b.js")
	r.mark("settled")
	r.expect("settled", r.wait(5*time.Second), "0 ms: 2 files changed (a.js, b.js)")

	r.mark("updating")
	for i := range 10 {
		r.put(fmt.Sprint(i), "")
		r.tell(fmt.Sprint(i))
	}
	r.mark("settled")
	r.expect("at once", r.wait(5*time.Second), "0 ms: 10 files changed (0, 1, 2, ...)")

	r.mark("updating")
	r.mark("settled")
	r.expect("settled again", r.wait(5*time.Second), "nothing")

	r.mark("updating") // and then its writer was killed
	r.put("a.js", "22")
	r.tell("a.js")
	if got := r.wait(40 * time.Second); !strings.HasSuffix(got, "a.js changed") {
		t.Error(got)
	}
	r.put("a.js", "333")
	r.tell("a.js")
	r.expect("not held a second time", r.wait(5*time.Second), "10 ms: a.js changed")
}

// The marker's event may not come; and those of files may come after it.
func TestSensorMarkerWithoutEvent(t *testing.T) {
	r := newRig(t, map[string]string{"a.js": "", "b.js": ""}, nil)
	r.mark("updating")
	r.put("a.js", "1")
	r.tell("a.js")
	r.expect("updating", r.wait(50*time.Millisecond), "nothing")
	r.put("b.js", "1")
	path := filepath.Join(r.dir, "..", "worktree.json")
	if err := os.WriteFile(path, []byte(`{"state":"settled"}`), 0o644); err != nil {
		t.Fatal(err)
	}
	if got := r.wait(5 * time.Second); !strings.HasSuffix(got, "ms: 2 files changed (a.js, b.js)") {
		t.Error(got)
	}
	r.tell("b.js")
	r.expect("late", r.wait(5*time.Second), "nothing")
}

func TestStateIn(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "{}": "", "[]": "", `{"state":"updating"}`: "updating", `{"commit":"x","state":"settled","fi`: "settled",
		`{"state":1,"state":"updating"}`: "updating", `{"x":{"state":"updating"}}`: "", `"state"`: "", "null": "",
	} {
		if got := stateIn(strings.NewReader(text)); got != want {
			t.Errorf("%s: %q, not %q", text, got, want)
		}
	}
	for root, want := range map[string]string{
		"/paas/apps/blog/worktree": "/paas/apps/blog/worktree.json", "/paas/apps/blog/worktree/src/x": "/paas/apps/blog/worktree.json", "/app": "/worktree.json", "/srv/app": "/srv/worktree.json",
	} {
		if got := markerPath(root); got != want {
			t.Errorf("%s: %s, not %s", root, got, want)
		}
	}
}

func FuzzStateIn(f *testing.F) {
	f.Add(`{"state":"updating","commit":"1"`)
	f.Fuzz(func(t *testing.T, text string) { stateIn(strings.NewReader(text)) })
}

// The folder may be deleted and come again, be a link, or behind one that is flipped.
func TestSensorPlaces(t *testing.T) {
	r := newRig(t, map[string]string{"a.js": "", "x/b.js": ""}, nil)
	away := r.dir + ".away"
	if err := os.Rename(r.dir, away); err != nil {
		t.Fatal(err)
	}
	r.tell("")
	r.expect("moved away", r.wait(5*time.Second), "nothing")
	if !strings.Contains(r.messages.String(), "is not there; waiting for it") {
		t.Error(r.messages.String())
	}
	r.put("a.js", "1")
	r.put("x/c.js", "")
	if got := r.wait(5 * time.Second); !strings.HasSuffix(got, " 3 files changed (a.js, x/b.js, x/c.js)") {
		t.Error(got)
	}

	top := filepath.Dir(r.dir)
	for _, err := range []error{os.Symlink("app", filepath.Join(top, "current")), os.Mkdir(filepath.Join(top, "home"), 0o755), os.Symlink("../current/", filepath.Join(top, "home/link"))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	linked := newRig(t, nil, func(l *rig) { l.sensor.dir = filepath.Join(top, "home/link/x") })
	linked.dir = filepath.Join(top, "home/link/x")
	for _, folder := range []string{top, filepath.Join(top, "home"), r.dir, filepath.Join(r.dir, "x")} {
		if !linked.events.added[folder] {
			t.Errorf("%s is not watched: %v", folder, linked.events.added)
		}
	}
	for _, err := range []error{os.Symlink(away, filepath.Join(top, "new")), os.Rename(filepath.Join(top, "new"), filepath.Join(top, "current"))} {
		if err != nil {
			t.Fatal(err)
		}
	}
	linked.event(fsnotify.Event{Name: filepath.Join(top, "current")}, linked.now)
	linked.expect("flipped", linked.wait(5*time.Second), "10 ms: 2 files changed (b.js, c.js)")
	if !linked.events.added[filepath.Join(away, "x")] || linked.events.added[filepath.Join(r.dir, "x")] {
		t.Errorf("watched are %v", linked.events.added)
	}
	linked.put("b.js", "12")
	linked.event(fsnotify.Event{Name: filepath.Join(away, "x/b.js")}, linked.now)
	linked.expect("after the flip", linked.wait(5*time.Second), "10 ms: b.js changed")
}
