package cli

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"math/big"
	"net"
	"os"
	"os/exec"
	"paas/certs/pair"
	"paas/doctor"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"paas/access"
	"paas/command"
	"paas/formation"
	"paas/remote"
	"paas/terminal"
	"paas/volume"
)

// stage is a server without doors and without an engine: everything that releases and processes are
// expected to become, they become at once.
type stage struct {
	t      *testing.T
	server *command.Server
}

// newStage has the apps blog, which is live and has been configured once, tired, which was stopped,
// follower, which follows a repository, and returned, which came back from a backup; and the keys alice, an admin's, and guest.
func newStage(t *testing.T) *stage {
	t.Helper()
	vol := &volume.Volume{Root: t.TempDir(), Poll: 10 * time.Millisecond, Log: slog.New(slog.DiscardHandler)}
	keys := &access.Keys{Dir: filepath.Join(vol.Root, "ssh"), Volume: vol}
	s := &stage{t, &command.Server{
		Volume: vol, Keys: keys, Tokens: access.Tokens{Keys: keys}, Rights: access.Rights{Keys: keys}, Mode: volume.ByRelease,
		Prove: 5 * time.Second, Grace: 10 * time.Second,
		URL:          func(app string) string { return "http://" + app + ".test" },
		GitHost:      func() string { return "test" },
		GitHTTPS:     func(app string) string { return "https://paas.test/" + app },
		SSHHost:      func() string { return "test" },
		Hint:         func(verb, args string) string { return "ssh paas@test " + verb + " " + args },
		Webhook:      func(app string) string { return "http://hooks.test/" + app },
		Isolation:    func() (string, error) { return "apps are alone", nil },
		Examine:      findings,
		Agree:        func(volume.App) (bool, error) { return true, nil },
		Sidecar:      fakeSidecar{},
		Domain:       func() string { return "test" },
		HTTPS:        func() bool { return true },
		Resolver:     offline,
		Certificates: fakeCertificates{},
	}}
	s.must(vol.Open())
	t.Cleanup(func() { vol.Close() })
	for _, key := range []string{
		"alice ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIKY2x06GtMsw5JaRXstz6zoFZBTsTQ15iRTNtokefzvk alice@laptop",
		"guest ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGQacdIYnxN1Wz2I2Q0LRDWxBBxsC/fQ+tHYDtb/N7kK guest@laptop",
	} {
		name, line, _ := strings.Cut(key, " ")
		_, err := keys.Add(line, access.Adding{Name: name, Role: access.Guest})
		s.must(err)
	}
	_, _, err := s.server.Tokens.Create(access.Token{Name: "old", Can: access.Deploy, Expires: time.Now().Add(time.Hour)})
	s.must(err)
	claim, err := vol.Claim(volume.RoleApp)
	s.must(err)
	t.Cleanup(func() { claim.Close() })
	for _, name := range []string{"blog", "tired"} {
		s.deploy(name)
	}
	blog, err := vol.App("blog")
	s.must(err)
	s.must(s.server.Rights.Grant(blog, "guest", access.Deploy))
	follower, err := vol.Create("follower")
	s.must(err)
	s.must(follower.SetSource(volume.Source{URL: "https://host.test/repo.git", Branch: "main", Every: 10 * time.Second}))
	returned, err := vol.TempDir()
	s.must(err)
	s.must(vol.Stage(returned, volume.Staged{Restored: volume.Restored{Backup: time.Now()}}))
	_, err = vol.CreateFrom("returned", returned)
	s.must(err)
	stored := filepath.Join(vol.Root, "backups", "files")
	s.must(os.MkdirAll(stored, 0o700))
	s.must(os.WriteFile(filepath.Join(stored, "paas-20261130T030000Z.backup"), []byte(testBackup()), 0o600))
	for _, name := range []string{"blog.test", "www.example.com"} {
		s.must(vol.SetCertificate(name, volume.Certificate{Issuer: "ca.example", NotAfter: time.Now().Add(time.Hour)}))
	}
	vol.Record(volume.RoleGit, volume.Event{By: "alice", Did: "push", App: "blog", Note: "v1"})
	return s
}

func (s *stage) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// deploy makes an app with the releases v1 and v2, and follows what becomes of it.
func (s *stage) deploy(name string) {
	s.t.Helper()
	app, err := s.server.Volume.Create(name)
	s.must(err)
	s.must(app.SetSettings(volume.Settings{Branch: "main"}))
	s.must(app.SetWanted(volume.Wanted{
		Limits: map[string]volume.Limits{"": {Processes: 7}},
		Rules:  volume.Rules{Users: map[string]string{"carol": "a hash"}},
		Names: volume.Names{
			Domains: []string{"moved.example.com", "old.example.com"}, Redirects: map[string]string{"moved.example.com": "blog.test"},
		},
	}))
	dir := s.t.TempDir()
	s.must(os.MkdirAll(filepath.Join(dir, "tree"), 0o755))
	s.must(os.MkdirAll(app.StorageFiles("media"), 0o755))
	b, err := app.PublishBuild(volume.Build{Commit: theCommit, Branch: "main", Subject: "one"}, dir)
	s.must(err)
	s.must(app.SetBuilt(b.ID, volume.Built{Kind: "node", Processes: map[string]string{"web": "node web.js", "worker": "node work.js"}}))
	for _, colour := range []string{"blue", "red"} {
		r, err := app.Publish(volume.Release{
			Build: b.ID, Commit: b.Commit, Branch: b.Branch, Subject: b.Subject, By: "alice", Cause: volume.CausePush,
			Settings: volume.Settings{Branch: "main", Config: map[string]string{"COLOR": colour}},
		})
		s.must(err)
		s.golive(app, r.N)
	}
	if name == "tired" {
		s.must(app.SetWanted(volume.Wanted{Stopped: 2}))
	}
	s.must(os.MkdirAll(app.Logs(), 0o755))
	s.must(os.WriteFile(filepath.Join(app.Logs(), "web.1.log"), []byte("2026-11-25T10:00:00.000Z hello\n"), 0o644))
	s.must(app.SetCron(s.cron(2)))
	s.must(s.follow(app))
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- app.Await(ctx, func() (bool, error) { return false, s.follow(app) }) }()
	s.t.Cleanup(func() {
		stop()
		if err := <-ended; !errors.Is(err, context.Canceled) && !errors.Is(err, volume.ErrNoApp) && app.Exists() {
			s.t.Error(err)
		}
	})
}

// guestKey is the fingerprint of guest's key.
const guestKey = "SHA256:LfreRL0k2WnScnsbPbWen/53vGtxwklfjMuYywnU68A"

const theCommit = "18aed0a127beda03483fd32464727d373112cd64"

// commit puts theCommit into the app's repository, where a rebuild looks for it.
func (s *stage) commit(name string) {
	s.t.Helper()
	app, err := s.server.Volume.App(name)
	s.must(err)
	cmd := exec.Command("sh", "-c", "git init -q --bare && git fast-import --quiet")
	cmd.Dir = app.Repo()
	s.must(os.MkdirAll(cmd.Dir, 0o755))
	cmd.Stdin = strings.NewReader("commit refs/heads/main\ncommitter alice <alice@laptop> 0 +0000\ndata 4\none\nM 644 inline page\ndata 3\none\n\n")
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("git: %v: %s", err, out)
	}
}

func (s *stage) golive(app volume.App, n int) {
	if live := app.Live(); live > 0 {
		app.SetStatus(live, volume.Status{State: volume.Retired})
	}
	app.SetLive(n)
	app.SetStatus(n, volume.Status{State: volume.Live})
}

func (s *stage) cron(release int) volume.Cron {
	return volume.Cron{Release: release, Zone: "Europe/Lisbon", Entries: []volume.CronEntry{{
		ID: 1, From: "cron", Schedule: "@daily", Command: "tidy", Last: &volume.CronRun{Entry: 1, At: time.Now(), Result: "ok"},
	}}}
}

// follow does at once what a runtime would do.
func (s *stage) follow(app volume.App) error {
	numbers := app.Numbers()
	if len(numbers) == 0 {
		return volume.ErrNoApp
	}
	n := numbers[len(numbers)-1]
	status, err := app.Status(n)
	if err != nil {
		return err
	}
	if n != app.Live() {
		r, err := app.Release(n)
		if err != nil {
			return err
		}
		app.SetBuilt(r.Build, volume.Built{Kind: "node", Processes: map[string]string{"web": "node web.js", "worker": "node work.js"}})
		if status.State != volume.Ready {
			app.SetStatus(n, volume.Status{State: volume.Ready})
		}
		if app.Committed(n) {
			s.golive(app, n)
		}
	}
	w, err := app.Wanted()
	if err != nil {
		return err
	}
	var processes []volume.Process
	for _, t := range []string{formation.Web, "worker"} {
		for i := range formation.Count(t, w.Formation, nil) {
			if w.Stopped == app.Live() {
				continue
			}
			processes = append(processes, volume.Process{
				Type: t, Index: i + 1, Release: app.Live(), State: "running", PID: 4711 + i, Since: time.Now().Add(-time.Minute),
				Limits: w.LimitsOf(t), Restart: w.Restart(t, i+1),
			})
		}
	}
	if now, _ := app.Processes(); fmt.Sprint(keys(now)) != fmt.Sprint(keys(processes)) {
		app.SetProcesses(processes)
	}
	state, err := app.Cron()
	if err == nil && w.Cron.Token != "" && len(state.Asked) == 0 {
		state.Asked = []volume.CronRun{{Entry: 1, Token: w.Cron.Token, Result: "ok"}}
		err = app.SetCron(state)
	}
	return err
}

// keys tells processes apart by what a change may change.
func keys(processes []volume.Process) (all []string) {
	for _, p := range processes {
		all = append(all, fmt.Sprintf("%s of v%d %v %s", p.Name(), p.Release, p.Limits, p.Restart))
	}
	return all
}

type fakeSidecar struct{}

func (fakeSidecar) Peek(context.Context, volume.App) (remote.Head, error) {
	return remote.Head{Name: "main", Commit: "abcdef0123456789abcdef0123456789abcdef01"}, nil
}

func (fakeSidecar) Sync(
	_ context.Context, app volume.App, _ string, out io.Writer, live func(volume.Release),
) error {
	_, err := fmt.Fprintf(out, "-----> synced %s\n", app.Name)
	live(volume.Release{N: 3})
	return err
}

// noConsole is where no terminal is.
type noConsole struct{}

func (noConsole) Take() (*terminal.Terminal, io.Writer, func(), error) {
	return nil, io.Discard, func() {}, nil
}

func (noConsole) Signals() <-chan syscall.Signal { return nil }

// must2 is must for what callRow returns.
func (s *stage) must2(_, stderr string, err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("%v\n%s", err, stderr)
	}
}

// offline reaches no DNS server.
var offline = &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
	return nil, errors.New("offline")
}}

// fakeCertificates has one of each app.
type fakeCertificates struct{}

func (fakeCertificates) Set(context.Context, string, []byte) error { return nil }

func (fakeCertificates) Remove(context.Context, string) (bool, error) { return true, nil }

// testPair is a key and a certificate for old.example.com.
var testPair = func() string {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"old.example.com"}, NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		panic(err)
	}
	text, err := pair.EncodeKey(key)
	if err != nil {
		panic(err)
	}
	return string(append(text, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...))
}()

// findings are those of a server on which all but one thing is well.
func findings(context.Context) iter.Seq[doctor.Finding] {
	return slices.Values([]doctor.Finding{
		{Check: "git", Level: doctor.OK}, {Check: "disk", Level: doctor.Advice, Problem: "nearly full", Remedy: "free some"},
	})
}
