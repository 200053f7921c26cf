package sidecar

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"paas/remote"
	"paas/rig"
	"paas/volume"
)

// The test binary is also a sidecar that kills itself at a certain place.
func TestMain(m *testing.M) {
	if root := os.Getenv("SIDECAR_TEST_ROOT"); root != "" {
		followUntilKilled(root, os.Getenv("SIDECAR_TEST_AT"))
	}
	if _, err := os.Stat("/dev/shm"); err == nil && os.Getenv("TMPDIR") == "" {
		os.Setenv("TMPDIR", "/dev/shm") // waiting for a disk would only make the tests slower
	}
	os.Exit(m.Run())
}

// fakeRemote is a Remote of two functions.
type fakeRemote struct {
	look  func(ctx context.Context, r remote.Remote, ref remote.Ref) (remote.Head, error)
	fetch func(ctx context.Context, r remote.Remote, ref remote.Ref, dir string) (string, error)
}

func (r *fakeRemote) Head(
	ctx context.Context, at remote.Remote, ref remote.Ref,
) (remote.Head, error) {
	return r.look(ctx, at, ref)
}

func (r *fakeRemote) Fetch(
	ctx context.Context, at remote.Remote, ref remote.Ref, dir string,
) (string, error) {
	return r.fetch(ctx, at, ref, dir)
}

func (r *fakeRemote) Reach(context.Context, string) error {
	return errors.New("nothing listens there")
}

// record is what the sidecar has logged.
type record struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *record) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if os.Getenv("TEST_LOG") != "" {
		os.Stderr.Write(p)
	}
	return l.text.Write(p)
}

func (l *record) count(words string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), words)
}

// stage is a sidecar on a volume of its own.
type stage struct {
	*Sidecar
	t   testing.TB
	log *record
}

func newStage(t testing.TB, r Remote) *stage {
	t.Helper()
	s := &stage{Sidecar: newSidecar(t.TempDir(), r), t: t, log: new(record)}
	s.Sidecar.Log = slog.New(slog.NewTextHandler(s.log, nil))
	if err := s.Volume.Open(); err != nil {
		t.Fatal(err)
	}
	return s
}

func newSidecar(root string, r Remote) *Sidecar {
	return &Sidecar{
		Volume:   &volume.Volume{Root: root, Poll: 5 * time.Millisecond},
		Remote:   r,
		URL:      func(app string) string { return "http://" + app + ".test" },
		Log:      slog.New(slog.DiscardHandler),
		minPause: time.Millisecond,
	}
}

// app makes an app that follows the source.
func (s *stage) app(name string, source volume.Source) volume.App {
	s.t.Helper()
	app, err := s.Volume.Create(name)
	if err == nil {
		err = app.SetSource(source)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return app
}

// start runs the sidecar, and a runtime, until stop or the test's end.
func (s *stage) start() (stop func()) {
	s.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				s.t.Error(err)
			}
		case <-time.After(20 * time.Second):
			s.t.Error("the sidecar does not end")
		}
	})
	s.t.Cleanup(stop)
	rig.Eventually(s.t, "it runs", func() bool { return s.Health().Running })
	return stop
}

// runtime runs a runtime until the test's end.
func (s *stage) runtime() {
	claim, err := s.Volume.Claim(volume.RoleApp)
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { fakeRuntime(ctx, s.Volume) })
	s.t.Cleanup(func() { cancel(); running.Wait(); claim.Close() })
}

// now polls the app's source now.
func (s *stage) now(app string) {
	s.t.Helper()
	s.follower(app).asked.ring()
}

func (s *stage) follower(app string) (f *follower) {
	s.t.Helper()
	rig.Eventually(s.t, app+" is followed", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		f = s.followers[app]
		return f != nil
	})
	return f
}

// fakeRuntime does with each release what the file fate in its tree says: "fail REASON", "hang"
// before it decides, "prove" for an hour, anything else: ready, and live once it is committed.
func fakeRuntime(ctx context.Context, vol *volume.Volume) {
	for ctx.Err() == nil {
		apps, _ := vol.Apps()
		for _, name := range apps {
			if app, err := vol.App(name); err == nil {
				for _, n := range app.Numbers() {
					step(app, n)
				}
			}
		}
		time.Sleep(2 * time.Millisecond)
	}
}

func step(app volume.App, n int) {
	status, _ := app.Status(n)
	release, err := app.Release(n)
	if err != nil || status.State.Over() || release.Settings.Mode == volume.OnlyFiles {
		return
	}
	fate, _ := os.ReadFile(filepath.Join(app.BuildTree(release.Build), "fate"))
	verb, reason, _ := strings.Cut(strings.TrimSpace(string(fate)), " ")
	why, cancelled := app.Cancelled(n)
	switch {
	case cancelled:
		app.SetStatus(n, why)
	case !app.TurnHeld() && !app.Committed(n):
		app.Cancel(n, "abandoned", volume.Remedy{})
	case status.State == volume.Queued:
		os.WriteFile(app.ReleaseLog(n), []byte("       compiled\n"), 0o644)
		app.SetStatus(n, volume.Status{State: volume.Building})
	case status.State == volume.Building && verb == "fail":
		app.SetStatus(
			n, volume.Status{State: volume.Failed, Reason: reason, Hint: "look at line 3"},
		)
	case status.State == volume.Building && verb == "hang", status.State == volume.Proving:
	case status.State == volume.Building && verb == "prove":
		app.SetStatus(n, volume.Status{State: volume.Proving, Prove: time.Hour})
	case status.State == volume.Building:
		app.SetBuilt(release.Build, volume.Built{Processes: map[string]string{"web": "serve"}})
		app.SetStatus(n, volume.Status{State: volume.Ready})
	case status.State == volume.Ready && app.Committed(n):
		if live := app.Live(); live > 0 && live != n { // there may be two of us
			defer app.SetStatus(live, volume.Status{State: volume.Retired})
		}
		app.SetLive(n)
		app.SetStatus(n, volume.Status{State: volume.Live})
	}
}

// hosting hosts repositories over HTTP.
type hosting struct {
	t    testing.TB
	dir  string
	URL  string
	down func(bool) // whether it answers with an error

	server *httptest.Server
}

func newHosting(t testing.TB) *hosting {
	t.Helper()
	h := &hosting{t: t, dir: t.TempDir()}
	path, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		t.Fatal(err)
	}
	backend := &cgi.Handler{
		Logger: log.New(io.Discard, "", 0),
		Stderr: io.Discard,
		Path:   filepath.Join(strings.TrimSpace(string(path)), "git-http-backend"),
		Env: []string{
			"GIT_PROJECT_ROOT=" + h.dir,
			"GIT_HTTP_EXPORT_ALL=1",
			"GIT_CONFIG_NOSYSTEM=1",
			"GIT_CONFIG_GLOBAL=/dev/null",
			"GIT_CONFIG_COUNT=1",
			"GIT_CONFIG_KEY_0=safe.directory",
			"GIT_CONFIG_VALUE_0=*",
		},
	}
	var mu sync.Mutex
	var down bool
	h.down = func(is bool) { mu.Lock(); down = is; mu.Unlock() }
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		is := down
		mu.Unlock()
		if is {
			http.Error(w, "down for maintenance", http.StatusServiceUnavailable)
			return
		}
		backend.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	h.URL, h.server = server.URL, server
	return h
}

// repo makes a repository with one commit on main.
func (h *hosting) repo(name string) *repo {
	h.t.Helper()
	r := &repo{t: h.t, dir: filepath.Join(h.dir, name), url: h.URL + "/" + name}
	if err := os.Mkdir(r.dir, 0o755); err != nil {
		h.t.Fatal(err)
	}
	r.git("init", "-q", "-b", "main")
	r.commit("one", "hello", "hello\n")
	return r
}

// repo is a remote repository, in which people commit.
type repo struct {
	t        testing.TB
	dir, url string
}

func (r *repo) git(args ...string) string {
	r.t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = r.dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"),
		"HOME=/dev/null",
		"GIT_CONFIG_NOSYSTEM=1",
		"GIT_CONFIG_GLOBAL=/dev/null",
		"GIT_AUTHOR_NAME=A",
		"GIT_AUTHOR_EMAIL=a@b.c",
		"GIT_COMMITTER_NAME=A",
		"GIT_COMMITTER_EMAIL=a@b.c",
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		r.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit commits files, given as pairs of name and content, and returns the commit.
func (r *repo) commit(message string, files ...string) string {
	r.t.Helper()
	for i := 0; i < len(files); i += 2 {
		path := filepath.Join(r.dir, files[i])
		err := errors.Join(
			os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(files[i+1]), 0o644),
		)
		if err != nil {
			r.t.Fatal(err)
		}
		r.git("add", files[i])
	}
	r.git("commit", "-q", "--allow-empty", "-m", message)
	return r.git("rev-parse", "HEAD")
}

// newClient returns a real client.
func newClient(t testing.TB) *remote.Client {
	c := new(remote.Client)
	t.Cleanup(func() { c.Close() })
	return c
}

// live reports whether the app's live release is of commit.
func isLive(app volume.App, commit string) bool {
	r, err := app.Release(app.Live())
	return err == nil && r.Commit == commit
}

func looked(t testing.TB, app volume.App) volume.SourceStatus {
	t.Helper()
	l, err := app.SourceStatus()
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func contains(t testing.TB, out string, words ...string) {
	t.Helper()
	for _, w := range words {
		if !strings.Contains(out, w) {
			t.Errorf("missing %q in:\n%s", w, out)
		}
	}
}

// states are the states of the app's releases, first to last.
func states(app volume.App) string {
	var all []string
	for _, n := range app.Numbers() {
		s, _ := app.Status(n)
		all = append(all, string(s.State))
	}
	return strings.Join(all, " ")
}

// followUntilKilled is the body of the sidecar process that tests kill; at is where it kills
// itself.
func followUntilKilled(root, at string) {
	s := newSidecar(root, new(remote.Client))
	s.breakpoint = func(where string) {
		if where == at {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}
	go fakeRuntime(context.Background(), s.Volume)
	panic(s.Run(context.Background()))
}
