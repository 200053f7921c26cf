package deploy

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"paas/git"
	"paas/volume"
)

// stage is an app on a volume; the test decides on its releases in place of a runtime.
type stage struct {
	t   *testing.T
	app volume.App
	out bytes.Buffer
	log string // of the next release
}

func newStage(t *testing.T) *stage {
	t.Helper()
	v := &volume.Volume{Root: t.TempDir(), Poll: 10 * time.Millisecond}
	if err := v.Open(); err != nil {
		t.Fatal(err)
	}
	app, err := v.Create("blog")
	if err != nil {
		t.Fatal(err)
	}
	return &stage{t: t, app: app, log: "building\n"}
}

// decide puts the next release into that state once it is published, and makes it live once it is
// committed.
func (s *stage) decide(state volume.State) {
	n := len(s.app.Numbers()) + 1
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		decided := false
		s.app.Await(ctx, func() (bool, error) {
			if _, err := s.app.Release(n); err == nil && !decided {
				decided = true
				os.WriteFile(s.app.ReleaseLog(n), []byte(s.log), 0o644)
				s.app.SetStatus(n, volume.Status{State: state, Reason: "because"})
			}
			if s.app.Committed(n) {
				s.app.SetLive(n)
				s.app.SetStatus(n, volume.Status{State: volume.Live})
			}
			return s.app.Live() == n, nil
		})
	}()
	s.t.Cleanup(func() { stop(); <-ended })
}

// maker makes releases of the app, and shows them in s.out.
func (s *stage) maker() Maker { return Maker{App: s.app, Out: &s.out} }

// release publishes an empty release, and takes it through the two phases.
func (s *stage) release(ctx context.Context) (volume.Release, volume.Status, error) {
	s.t.Helper()
	r, err := s.app.Publish(volume.Release{By: "alice"})
	if err != nil {
		s.t.Fatal(err)
	}
	status, err := s.maker().Release(ctx, r, nil)
	return r, status, err
}

// inPlace makes a release of commit in mode worktree.
func (s *stage) inPlace(commit string, objects *git.Objects) (volume.Release, error) {
	m := s.maker()
	m.Mode = volume.OnlyFiles
	r, err := m.Publish(s.t.Context(), volume.Build{Commit: commit}, volume.Release{By: "alice"}, objects)
	if err == nil {
		_, err = m.Release(s.t.Context(), r, objects)
	}
	return r, err
}

func (s *stage) states() string {
	var all []string
	for _, n := range s.app.Numbers() {
		status, err := s.app.Status(n)
		if err != nil {
			s.t.Fatal(err)
		}
		all = append(all, string(status.State))
	}
	return strings.Join(all, " ")
}

func TestRelease(t *testing.T) {
	s := newStage(t)
	s.decide(volume.Ready)
	r, status, err := s.release(t.Context())
	if err != nil || status.State != volume.Live || r.N != 1 || s.out.String() != "building\n" {
		t.Errorf("%v %+v %v %q", r, status, err, s.out.String())
	}
	s.decide(volume.Failed)
	r, status, err = s.release(t.Context())
	if err != nil || status.State != volume.Failed || status.Reason != "because" ||
		s.app.Committed(r.N) ||
		s.app.Live() != 1 {
		t.Errorf("%v %+v %v", r, status, err)
	}
}

// hostile is what an app that can write to the release's log writes there: it would clear the
// screen, set the title, ring the bell, show the cursor's place, and never end its line.
const hostile = "building\n\x1b[2J\x1b]0;owned\x07blog v9\a is live\r\nhealthy\rowned\x1b[6n\n"

// An app may be able to write to its release's log. What the log says reaches no terminal as it is.
func TestLogIsWashed(t *testing.T) {
	s := newStage(t)
	endless := strings.Repeat("x", 100_000)
	s.log = hostile + endless
	s.decide(volume.Failed)
	s.release(t.Context())
	got := s.out.String()
	if want := "building\nblog v9 is live\nowned\n"; !strings.HasPrefix(got, want) {
		t.Errorf("shown is %.200q, want %q", got, want)
	}
	for line := range strings.Lines(got) {
		if len(line) > 4<<10+1 {
			t.Errorf("a line has %d bytes", len(line))
		}
	}
	if x := strings.Count(got, "x"); x != len(endless) {
		t.Errorf("%d bytes of the endless line are shown, of %d", x, len(endless))
	}
}

// Only what answers visitors has an address, and the line that it is live shows it.
func TestAddress(t *testing.T) {
	const url = "http://blog.test"
	web, worker := map[string]string{"web": "serve"}, map[string]string{"worker": "work"}
	for name, c := range map[string]struct {
		built   volume.Built
		mode    volume.Mode
		address string
		line    string
	}{
		"web":    {volume.Built{Processes: web}, "", url, "blog v1 is live: " + url},
		"static": {volume.Built{Static: "public"}, "", url, "blog v1 is live: " + url},
		"worker": {volume.Built{Processes: worker}, "", "", "blog v1 is live"},
		"watch":  {volume.Built{}, volume.OnlyFiles, "", "blog v1 is live, in WORKTREE"},
	} {
		s := newStage(t)
		b, err := s.app.PublishBuild(volume.Build{Commit: "c"}, t.TempDir())
		if err == nil {
			err = s.app.SetBuilt(b.ID, c.built)
		}
		if err != nil {
			t.Fatal(err)
		}
		r := volume.Release{N: 1, Build: b.ID, Settings: volume.Settings{Mode: c.mode}}
		m := s.maker()
		if address := m.Address(r); address != "" {
			t.Errorf("%s: address %q without a URL", name, address)
		}
		m.URL = func(string) string { return url }
		line := strings.ReplaceAll(m.LiveLine(r), s.app.Worktree(), "WORKTREE")
		if address := m.Address(r); address != c.address || line != c.line {
			t.Errorf("%s: %q and %q, want %q and %q", name, address, line, c.address, c.line)
		}
	}
}

// A caller who leaves in the first phase takes the release back.
func TestReleaseLeft(t *testing.T) {
	s := newStage(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, _, err := s.release(ctx)
	why, cancelled := s.app.Cancelled(r.N)
	if !errors.Is(err, context.Canceled) || !cancelled ||
		why.Reason != "alice left" {
		t.Errorf("%v: %v %+v", err, cancelled, why)
	}
}

// Without a runtime, a release is taken back after a while, and the error says what is missing.
func TestReleaseWithoutRuntime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		_, _, err := s.release(t.Context())
		if err == nil || volume.RemedyOf(err).Do != volume.StartServer ||
			!strings.Contains(s.out.String(), "v1 waits for the runtime") {
			t.Errorf("%v, %q", err, s.out.String())
		}
		why, cancelled := s.app.Cancelled(1)
		if !cancelled || !strings.HasPrefix(why.Reason, "nothing runs the apps") {
			t.Errorf("%v %+v", cancelled, why)
		}
		if why.Remedy.Do != volume.StartServer {
			t.Errorf("%+v does not say what to do", why)
		}
	})
}

// Turn waits for a release that a dead process has committed.
func TestTurnWaitsForTheCommitted(t *testing.T) {
	s := newStage(t)
	if _, err := s.app.Volume().Claim(volume.RoleApp); err != nil {
		t.Fatal(err)
	}
	s.decide(volume.Ready)
	if _, err := s.app.Publish(volume.Release{}); err != nil {
		t.Fatal(err)
	}
	s.app.Commit(1)
	done, err := Turn(t.Context(), s.app, "the test", nil)
	if err != nil || s.app.Live() != 1 {
		t.Fatal(err, s.app.Live())
	}
	done()
	if s.app.TurnHeld() {
		t.Error("the turn is held after it was given up")
	}
}

// commits makes a repository with one commit for each content of the file page.
func commits(t *testing.T, contents ...string) (git.Repo, []string) {
	t.Helper()
	dir := t.TempDir()
	run := func(args ...string) string {
		cmd := exec.Command(
			"git",
			append(
				[]string{
					"-C",
					dir,
					"-c",
					"user.name=alice",
					"-c",
					"user.email=alice@laptop",
					"-c",
					"core.autocrlf=false",
				},
				args...)...)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %v: %v: %s", args, err, out)
		}
		return strings.TrimSpace(string(out))
	}
	run("init", "-q")
	var all []string
	for _, content := range contents {
		if err := os.WriteFile(filepath.Join(dir, "page"), []byte(content), 0o755); err != nil {
			t.Fatal(err)
		}
		run("add", "page")
		run("commit", "-q", "-m", content)
		all = append(all, run("rev-parse", "HEAD"))
	}
	return git.Repo{Dir: filepath.Join(dir, ".git")}, all
}

func TestInPlace(t *testing.T) {
	s := newStage(t)
	repo, all := commits(t, "one", "#!/bin/sh\r\n")
	objects := repo.Objects()
	defer objects.Close()
	abandoned, err := publishFiles(s.app, volume.Release{Commit: all[0]})
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"one", "#!/bin/sh\r\n"} {
		r, err := s.inPlace(all[i], objects)
		content, readErr := os.ReadFile(filepath.Join(s.app.Worktree(), "page"))
		if err != nil || readErr != nil || string(content) != want || s.app.Live() != r.N {
			t.Errorf("%v %v %q, live v%d", err, readErr, content, s.app.Live())
		}
	}
	if got := s.states(); got != "cancelled retired live" {
		t.Errorf("v%d and those after it are %s", abandoned.N, got)
	}
	if !strings.Contains(
		s.out.String(), "-----> blog: 1 file written in worktree/, 0 removed\n",
	) {
		t.Error(s.out.String())
	}
	s.out.Reset()
	warn([]string{"page"}, &s.out)
	if !strings.Contains(s.out.String(), "page has Windows line endings") {
		t.Error(s.out.String())
	}
}

// A process died after it made a release live, before it recorded the state: the next one records
// it.
func TestRepairStates(t *testing.T) {
	s := newStage(t)
	for range 2 {
		r, err := publishFiles(s.app, volume.Release{})
		if err == nil {
			err = s.app.SetLive(r.N)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := RepairStates(s.app); err != nil || s.states() != "cancelled live" {
		t.Error(err, s.states())
	}
}

// It is still known that a release has proved itself after the app was in mode worktree.
func TestRepairKeepsTheProof(t *testing.T) {
	s := newStage(t)
	one, err := s.app.Publish(volume.Release{})
	if err == nil {
		err = s.app.SetStatus(one.N, volume.Status{State: volume.Live, Proved: true})
	}
	two, announced := publishFiles(s.app, volume.Release{})
	if err := errors.Join(err, announced, s.app.SetLive(two.N), RepairStates(s.app)); err != nil {
		t.Fatal(err)
	}
	if now, err := s.app.Status(one.N); err != nil || now.State != volume.Retired || !now.Proved {
		t.Errorf("%+v, %v", now, err)
	}
}

// A release that is interrupted while it is placed stays committed, and can be placed again.
func TestPlaceInterrupted(t *testing.T) {
	s := newStage(t)
	repo, all := commits(t, "one")
	objects := repo.Objects()
	defer objects.Close()
	r, err := publishFiles(s.app, volume.Release{Commit: all[0]})
	if err == nil {
		err = s.app.Commit(r.N)
	}
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.maker().
		place(ctx, r, objects); !errors.Is(err, context.Canceled) ||
		s.states() != "ready" {
		t.Errorf("%v, %s", err, s.states())
	}
	if err := s.maker().place(t.Context(), r, objects); err != nil || s.states() != "live" {
		t.Errorf("%v, %s", err, s.states())
	}
}

// A release whose files cannot be written fails with the reason, and the live one stays.
func TestPlaceFails(t *testing.T) {
	s := newStage(t)
	repo, all := commits(t, "one")
	objects := repo.Objects()
	defer objects.Close()
	err := os.WriteFile(s.app.Worktree(), nil, 0o644)
	if err != nil { // a file in the place of the folder
		t.Fatal(err)
	}
	_, err = s.inPlace(all[0], objects)
	if err == nil || s.states() != "failed" || s.app.Live() != 0 {
		t.Errorf("%v, %s, live v%d", err, s.states(), s.app.Live())
	}
}
