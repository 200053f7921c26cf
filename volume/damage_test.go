package volume

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// damages are the ways in which a file can be damaged.
var damages = map[string]func(t *testing.T, path string){
	"empty":      func(t *testing.T, path string) { write(t, path, "") },
	"torn":       func(t *testing.T, path string) { write(t, path, `{"n`) },
	"zeros":      func(t *testing.T, path string) { write(t, path, strings.Repeat("\x00", 100)) },
	"wrong type": func(t *testing.T, path string) { write(t, path, `"text"`) },
	"a folder": func(t *testing.T, path string) {
		err := errors.Join(os.RemoveAll(path), os.MkdirAll(filepath.Join(path, "sub"), 0o755))
		if err != nil {
			t.Fatal(err)
		}
	},
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

// wholeApp makes an app with every file: v1 is retired, v2 is live.
func wholeApp(t *testing.T) (a App, files map[string]func() error) {
	t.Helper()
	a = testApp(t)
	dir, err := a.Volume().TempDir()
	if err != nil {
		t.Fatal(err)
	}
	b, err := a.PublishBuild(Build{Commit: "0123456789abcdef"}, dir)
	errs := []error{
		err,
		a.SetBuilt(b.ID, Built{Kind: "static"}),
		a.SetSettings(Settings{Branch: "trunk"}),
		a.SetSource(Source{URL: "https://example.com"}),
		a.SetProcesses([]Process{{Type: "web"}}),
		a.SetCron(Cron{Release: 2}),
		a.SetAsleep(Asleep{Release: 2}),
		a.SetWanted(Wanted{Sleep: time.Minute}),
	}
	s, _, err := a.Source()
	errs = append(errs, err, a.SetSourceStatus(SourceStatus{Source: s.ID}))
	for n := 1; n <= 2; n++ {
		r, err := a.Publish(
			Release{
				Build:    b.ID,
				Settings: Settings{Config: map[string]string{"N": string(rune('0' + n))}},
			},
		)
		errs = append(
			errs, err, a.Commit(r.N), a.SetLive(r.N), a.SetStatus(r.N, Status{State: Live}),
		)
	}
	if err := errors.Join(append(errs, a.SetStatus(1, Status{State: Retired}))...); err != nil {
		t.Fatal(err)
	}
	return a, map[string]func() error{
		"settings.json":                  func() error { _, err := a.Settings(); return err },
		"wanted.json":                    func() error { _, err := a.Wanted(); return err },
		"source.json":                    func() error { _, _, err := a.Source(); return err },
		"looked.json":                    func() error { _, err := a.SourceStatus(); return err },
		"processes.json":                 func() error { _, err := a.Processes(); return err },
		"cron.json":                      func() error { _, err := a.Cron(); return err },
		"asleep.json":                    func() error { _, err := a.Asleep(); return err },
		"id":                             func() error { _, err := a.Identity(); return err },
		"releases/2/release.json":        func() error { _, err := a.Release(2); return err },
		"builds/" + b.ID + "/build.json": func() error { _, err := a.Build(b.ID); return err },
		"builds/" + b.ID + "/built.json": func() error { _, err := a.Built(b.ID); return err },
	}
}

// Each damaged file is reported in one line that names the file and the remedy.
func TestDamage(t *testing.T) {
	for how, damage := range damages {
		a, files := wholeApp(t)
		for file, read := range files {
			if err := read(); err != nil {
				t.Fatal(err)
			}
			if file == "id" && how != "empty" && how != "a folder" { // any content is an id
				continue
			}
			path := a.path(file)
			content, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			damage(t, path)
			err = read()
			if !IsDamage(err) || !strings.HasPrefix(err.Error(), "apps/blog/"+file+": ") ||
				strings.ContainsAny(err.Error(), "\n\x00") ||
				!strings.Contains(err.Error(), "; ") {
				t.Errorf("%s %s: %v", file, how, err)
			}
			os.RemoveAll(path)
			write(t, path, string(content))
		}
	}
}

// A file that the server may not read is damaged too. A failure that may pass is not damage.
func TestUnreadable(t *testing.T) {
	if os.Getuid() == 0 { // root may read everything
		again := exec.Command(os.Args[0], "-test.run=^TestUnreadable$", "-test.v")
		dir, err := os.MkdirTemp("", "paas-nobody")
		if err == nil {
			err = os.Chmod(dir, 0o777)
		}
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		self := filepath.Join(dir, "volume.test")
		content, err := os.ReadFile(os.Args[0])
		if err == nil {
			err = os.WriteFile(self, content, 0o755)
		}
		if err != nil {
			t.Fatal(err)
		}
		again.Path, again.Dir, again.Env = self, dir, append(os.Environ(), "TMPDIR="+dir)
		again.SysProcAttr = &syscall.SysProcAttr{
			Credential: &syscall.Credential{Uid: 65534, Gid: 65534},
		}
		if out, err := again.CombinedOutput(); err != nil ||
			!strings.Contains(string(out), "--- PASS: TestUnreadable") {
			t.Errorf("%v\n%s", err, out)
		}
		return
	}
	a, files := wholeApp(t)
	for file, read := range files {
		if err := os.Chmod(a.path(file), 0); err != nil {
			t.Fatal(err)
		}
		if err := read(); !IsDamage(err) || !strings.Contains(err.Error(), "chown") {
			t.Errorf("%s: %v", file, err)
		}
		os.Chmod(a.path(file), 0o600)
	}
	var was syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &was); err != nil {
		t.Fatal(err)
	}
	err := syscall.Setrlimit(syscall.RLIMIT_NOFILE, &syscall.Rlimit{Cur: 0, Max: was.Max})
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Setrlimit(syscall.RLIMIT_NOFILE, &was)
	for file, read := range files {
		if err := read(); err == nil || IsDamage(err) {
			t.Errorf("%s, with no file to open: %v", file, err)
		}
	}
	if !a.TurnHeld() {
		t.Error("a turn that cannot be looked at is called free, and its release abandoned")
	}
	if _, err := a.Open(); err == nil {
		t.Error("a history that cannot be read is called empty")
	}
}

// A lost status is worked out from the rest of the volume, and names the file.
func TestLostStatus(t *testing.T) {
	damages["missing"] = func(t *testing.T, path string) { os.RemoveAll(path) }
	defer delete(damages, "missing")
	for how, damage := range damages {
		a, _ := wholeApp(t)
		r, err := a.Publish(Release{}) // v3
		if err == nil {
			err = a.SetStatus(r.N, Status{State: Booting})
		}
		if err != nil {
			t.Fatal(err)
		}
		for n, want := range map[int]State{1: Retired, 2: Live, 3: Queued} {
			damage(t, filepath.Join(a.releaseDir(n), "status.json"))
			s, err := a.Status(n)
			if err != nil || s.State != want ||
				!strings.Contains(s.Reason, "status.json") && !(how == "missing" && n == 3) {
				t.Errorf("%s of v%d: %+v, %v", how, n, s, err)
			}
			err = a.SetStatus(n, Status{State: want})
			if err != nil { // also if a folder is in the way
				t.Error(err)
			}
			if s, err := a.Status(n); err != nil || s.State != want || s.Reason != "" {
				t.Errorf("%s of v%d: %+v, %v", how, n, s, err)
			}
		}
	}
}

// A lost link to the live release is made again, to the release that was live.
func TestLostLive(t *testing.T) {
	for how, damage := range map[string]func(path string) error{
		"missing":       func(path string) error { return nil },
		"an empty file": func(path string) error { return os.WriteFile(path, nil, 0o644) },
		"a folder":      func(path string) error { return os.MkdirAll(filepath.Join(path, "sub"), 0o755) },
		"a wild link":   func(path string) error { return os.Symlink("nowhere", path) },
	} {
		for states, want := range map[string]int{
			"":                    0,
			"failed":              0,
			"retired live":        2,
			"retired live failed": 2,
			"retired retired":     2, // the server was killed between the link and the states
			"retired live ready":  2,
		} {
			a := testApp(t)
			for _, state := range strings.Fields(states) {
				r, err := a.Publish(Release{})
				if err == nil {
					err = a.SetStatus(r.N, Status{State: State(state)})
				}
				if err == nil && (state == "live" || state == "retired") {
					err = a.Commit(r.N)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if err := damage(a.path("live")); err != nil {
				t.Fatal(err)
			}
			if err := a.Repair(); err != nil || a.Live() != want {
				t.Errorf("%s, %q: v%d is live, %v; want v%d", how, states, a.Live(), err, want)
			}
			if _, err := os.Lstat(a.path("live")); want == 0 && !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("%s, %q: it is still there: %v", how, states, err)
			}
		}
	}
}

// A lost id is written again as it was; any other stays.
func TestLostIdentity(t *testing.T) {
	a := testApp(t)
	was, err := a.Identity()
	if err != nil {
		t.Fatal(err)
	}
	if err := a.SetIdentity("other"); err != nil {
		t.Error(err)
	}
	if id, _ := a.Identity(); id != was {
		t.Error("an id was replaced that is none the worse")
	}
	for _, how := range []string{"empty", "a folder"} {
		damages[how](t, a.path("id"))
		if err := a.SetIdentity(was); err != nil {
			t.Error(err)
		}
		if id, err := a.Identity(); id != was || err != nil {
			t.Errorf("%s: %q, %v", how, id, err)
		}
	}
	if err := os.Remove(a.path("id")); err != nil {
		t.Fatal(err)
	}
	if err := a.SetIdentity(""); err != nil {
		t.Error(err)
	}
	if id, err := a.Identity(); id == "" || err != nil {
		t.Errorf("%q, %v", id, err)
	}
}

// Folders that a person has removed are made again.
func TestLostFolders(t *testing.T) {
	a := testApp(t)
	for _, name := range folders {
		if err := os.RemoveAll(a.path(name)); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Repair(); err != nil {
		t.Fatal(err)
	}
	if r, err := a.Publish(Release{}); err != nil || r.N != 1 {
		t.Errorf("%v, %v", r, err)
	}
}
