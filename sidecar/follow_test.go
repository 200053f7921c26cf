package sidecar

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"paas/remote"
	"paas/rig"
	"paas/volume"
)

const rarely = 24 * 60 * 60 * 1e9 // an interval that no test sees the end of

// A commit in the remote repository goes live by itself. One that fails leaves the old version
// live, and is not tried again until the branch moves.
func TestFollow(t *testing.T) {
	s := newStage(t, newClient(t))
	s.runtime()
	s.start()
	r := newHosting(t).repo("blog")
	one := r.git("rev-parse", "HEAD")
	app := s.app("blog", volume.Source{URL: r.url, Every: rarely})
	rig.Eventually(
		t, "the first commit is live at once",
		func() bool { return isLive(app, one) && looked(t, app).Commit == one },
	)
	release, _ := app.Release(1)
	if release.Cause != volume.CauseSync || release.By != "sidecar" || release.Branch != "main" ||
		release.Subject != "one" {
		t.Errorf("%+v", release)
	}
	if l := looked(t, app); l.Release != 1 || l.Failed != "" || l.Error != "" {
		t.Errorf("%+v", l)
	}
	content, err := os.ReadFile(filepath.Join(app.BuildTree(release.Build), "hello"))
	if string(content) != "hello\n" ||
		err != nil {
		t.Errorf("%q %v", content, err)
	}

	two := r.commit("two", "fate", "fail build: npm ci: exit status 1")
	s.now("blog")
	rig.Eventually(t, "the second has its verdict", func() bool { return looked(t, app).Commit == two })
	if l := looked(t, app); l.Release != 2 || l.Failed != "build: npm ci: exit status 1" ||
		l.Error != "" {
		t.Errorf("%+v", l)
	}
	if !isLive(app, one) || states(app) != "live failed" {
		t.Errorf("live is v%d; %s", app.Live(), states(app))
	}
	looks := s.follower("blog").looksDone()
	s.now("blog")
	rig.Eventually(t, "it is looked at again", func() bool { return s.follower("blog").looksDone() > looks })
	if states(app) != "live failed" {
		t.Errorf("what failed is tried again: %s", states(app))
	}

	three := r.commit("three", "fate", "")
	s.now("blog")
	rig.Eventually(
		t, "the third is live",
		func() bool { return isLive(app, three) && looked(t, app).Commit == three },
	)
	left(t, s, app)

	events, err := s.Volume.Events("blog", 10)
	var told []string
	for _, e := range events {
		told = append(told, e.By+" "+e.Did+" "+e.Note)
	}
	short := func(commit string) string { return commit[:7] }
	want := []string{
		"sidecar sync v1 " + short(one) + " live",
		"sidecar sync v2 " + short(two) + " build: npm ci: exit status 1",
		"sidecar sync v3 " + short(three) + " live",
	}
	if err != nil || !slices.Equal(told, want) {
		t.Errorf("the audit log has %q, %v", told, err)
	}
}

func (f *follower) looksDone() int {
	f.meter.mu.Lock()
	defer f.meter.mu.Unlock()
	return f.meter.polls
}

// left lists what a sync has left behind.
func left(t *testing.T, s *stage, app volume.App) {
	t.Helper()
	rig.Eventually(t, "the turn is free", func() bool { return !app.TurnHeld() })
	if err := s.Volume.Wipe(); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(filepath.Join(s.Volume.Root, "tmp", "*", "*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	builds, _ := filepath.Glob(filepath.Join(app.Dir(), "builds", "*"))
	if len(builds) > len(app.Numbers()) {
		t.Errorf("%d builds for %d releases", len(builds), len(app.Numbers()))
	}
}

// A poll that finds nothing new reads no file and takes no lock: it works without them.
func TestEmptyPoll(t *testing.T) {
	s := newStage(t, newClient(t))
	s.runtime()
	s.prepare()
	app := s.app("blog", volume.Source{URL: newHosting(t).repo("blog").url, Every: rarely})
	u, err := s.subjectOf("blog")
	if err != nil {
		t.Fatal(err)
	}
	f := newFollower(s.Sidecar, *u)
	f.poll(t.Context())
	if looked(t, app).Release != 1 {
		t.Fatal("it is not live")
	}
	files := []string{
		"source.json",
		"looked.json",
		"source.lock",
		"turn",
		"live",
		"releases",
		"source.git",
	}
	for _, name := range files {
		err := os.Rename(filepath.Join(app.Dir(), name), filepath.Join(app.Dir(), name+".away"))
		if err != nil {
			t.Fatal(err)
		}
	}
	f.poll(t.Context())
	if !f.since.IsZero() || f.said != "" ||
		s.log.count("level=WARN")+s.log.count("level=ERROR") > 0 {
		t.Error("the look wanted a file")
	}
	for _, name := range files {
		if _, err := os.Lstat(filepath.Join(app.Dir(), name)); err == nil {
			t.Errorf("the look made %s", name)
		}
	}
}

// A person's rollback stays, until the branch moves.
func TestRollbackStays(t *testing.T) {
	s := newStage(t, newClient(t))
	s.runtime()
	s.start()
	r := newHosting(t).repo("blog")
	one := r.git("rev-parse", "HEAD")
	app := s.app("blog", volume.Source{URL: r.url, Every: rarely})
	rig.Eventually(t, "one is live", func() bool { return isLive(app, one) && looked(t, app).Commit == one })
	two := r.commit("two", "a", "b")
	s.now("blog")
	rig.Eventually(t, "two is live", func() bool { return isLive(app, two) && looked(t, app).Commit == two })
	done, err := app.Turn(t.Context(), "rollback", nil)
	if err != nil {
		t.Fatal(err)
	}
	old, _ := app.Release(1)
	old.Cause = volume.CauseRollback
	back, err := app.Publish(old)
	if err == nil {
		err = app.Commit(back.N)
	}
	if err != nil {
		t.Fatal(err)
	}
	rig.Eventually(t, "one is live again", func() bool { return app.Live() == 3 })
	done()
	f := s.follower("blog")
	looks := f.looksDone()
	s.now("blog")
	rig.Eventually(t, "it is looked at", func() bool { return f.looksDone() > looks })
	s.now("blog")
	rig.Eventually(t, "and again", func() bool { return f.looksDone() > looks+1 })
	if app.Live() != 3 || len(app.Numbers()) != 3 {
		t.Errorf("the rollback did not stay: live is v%d of %d", app.Live(), len(app.Numbers()))
	}
	var out bytes.Buffer
	if err := s.Sync(t.Context(), app, "alice", &out, anything); err != nil || !isLive(app, two) {
		t.Errorf("a person asks for it: %v\n%s", err, out.String())
	}
}

// A source with the commit that is live deploys nothing: the commit counts as decided on.
func TestAdopt(t *testing.T) {
	s := newStage(t, newClient(t))
	s.runtime()
	stop := s.start()
	h := newHosting(t)
	r := h.repo("blog")
	app := s.app("blog", volume.Source{URL: r.url, Every: rarely})
	rig.Eventually(t, "it is live", func() bool { return looked(t, app).Release == 1 })
	stop()
	if err := os.Rename(r.dir, filepath.Join(h.dir, "moved")); err != nil {
		t.Fatal(err)
	}
	again := newStage(t, s.Remote)
	again.Sidecar.Volume = s.Volume
	again.start()
	if err := app.SetSource(volume.Source{URL: h.URL + "/moved", Every: rarely}); err != nil {
		t.Fatal(err)
	}
	rig.Eventually(t, "the new source has its verdict", func() bool { return looked(t, app).Release == 1 })
	if len(app.Numbers()) != 1 {
		t.Errorf("%d releases", len(app.Numbers()))
	}
}

// A commit that cannot be deployed is reported in words for people who do not push here, and not
// tried again.
func TestRefused(t *testing.T) {
	s := newStage(t, newClient(t))
	s.runtime()
	s.start()
	r := newHosting(t).repo("blog")
	head := r.git("rev-parse", "HEAD")
	r.git("update-index", "--add", "--cacheinfo", "160000,"+head+",vendor/lib")
	r.git("commit", "-q", "-m", "with a submodule")
	bad := r.git("rev-parse", "HEAD")
	app := s.app("blog", volume.Source{URL: r.url, Every: rarely})
	rig.Eventually(t, "it has its verdict", func() bool { return looked(t, app).Commit == bad })
	l := looked(t, app)
	contains(
		t, l.Failed, "vendor/lib is a submodule, and .gitmodules has no URL for it",
		"commit the files themselves",
	)
	if l.Release != 0 || l.Error != "" || len(app.Numbers()) != 0 {
		t.Errorf("%+v", l)
	}
	if s.log.count("level=INFO msg=synced") != 1 {
		t.Error("the log does not say so once")
	}
	var out bytes.Buffer
	err := s.Sync(t.Context(), app, "alice", &out, anything)
	if err == nil {
		t.Fatal("Sync says all is well")
	}
	contains(t, err.Error(), "blog: "+bad[:7], "cannot be deployed: vendor/lib is a submodule")
	contains(t, out.String(), "Nothing is live yet.")
}

// Scripts that cannot run because of Windows line endings are named, also in the failure.
func TestCarriageReturns(t *testing.T) {
	s := newStage(t, newClient(t))
	s.runtime()
	r := newHosting(t).repo("blog")
	err := os.WriteFile(filepath.Join(r.dir, "run"), []byte("#!/bin/sh\r\necho\r\n"), 0o755)
	if err != nil {
		t.Fatal(err)
	}
	r.git("add", "run")
	r.commit("crlf", "fate", "fail boot: web: no such file or directory")
	app := s.app("blog", volume.Source{URL: r.url, Every: rarely})
	var out bytes.Buffer
	err = s.Sync(t.Context(), app, "alice", &out, anything)
	if err == nil {
		t.Fatal("Sync says all is well")
	}
	contains(
		t, err.Error(),
		"boot: web: no such file or directory; it has scripts with Windows line endings",
	)
	contains(t, out.String(), "run has Windows line endings")
}

// The branch may be forced, renamed, deleted and made again, and so may the repository.
func TestUpstreamTurmoil(t *testing.T) {
	s := newStage(t, newClient(t))
	s.runtime()
	s.start()
	h := newHosting(t)
	r := h.repo("blog")
	r.commit("two", "a", "b")
	app := s.app("blog", volume.Source{URL: r.url, Every: rarely})
	deployed := func(what, commit string) {
		t.Helper()
		s.now("blog")
		rig.Eventually(
			t, what,
			func() bool { l := looked(t, app); return isLive(app, commit) && l.Commit == commit && l.Error == "" },
		)
	}
	troubled := func(what string, words ...string) {
		t.Helper()
		live := app.Live()
		s.now("blog")
		rig.Eventually(t, what, func() bool { return looked(t, app).Error != "" })
		contains(t, looked(t, app).Error, words...)
		if app.Live() != live {
			t.Errorf("%s: v%d was live, v%d is", what, live, app.Live())
		}
	}
	deployed("the branch", r.git("rev-parse", "HEAD"))
	r.git("reset", "-q", "--hard", "HEAD~1")
	deployed("a forced push", r.commit("other two", "a", "c"))
	r.git("branch", "-m", "main", "trunk")
	deployed("HEAD's new branch", r.commit("three", "a", "d"))
	if release, _ := app.Release(app.Live()); release.Branch != "trunk" {
		t.Errorf("the release is of branch %s", release.Branch)
	}

	if err := app.SetSource(volume.Source{URL: r.url, Branch: "main", Every: rarely}); err != nil {
		t.Fatal(err)
	}
	rig.Eventually(t, "the branch is missed", func() bool { return looked(t, app).Error != "" })
	contains(t, looked(t, app).Error, "main", "trunk")
	r.git("branch", "main")
	r.git("checkout", "-q", "main")
	deployed("the branch made anew", r.commit("four", "a", "e"))

	away := r.dir + ".away"
	if err := os.Rename(r.dir, away); err != nil {
		t.Fatal(err)
	}
	troubled("the repository is missed")
	os.RemoveAll(away)
	r = h.repo("blog")
	deployed("the repository made anew", r.git("rev-parse", "HEAD"))

	h.down(true)
	troubled("the hosting is down")
	h.down(false)
	deployed("the hosting is back", r.commit("five", "a", "f"))
	r.git("checkout", "-q", "--orphan", "fresh")
	r.commit("unrelated", "x", "y")
	r.git("branch", "-M", "fresh", "main")
	deployed("unrelated history", r.git("rev-parse", "main"))
	left(t, s, app)
}

// An upstream that is itself a shallow clone is followed.
func TestShallowUpstream(t *testing.T) {
	s := newStage(t, newClient(t))
	s.runtime()
	h := newHosting(t)
	r := h.repo("blog")
	r.commit("two", "a", "b")
	r.git("clone", "-q", "--depth=1", "file://"+r.dir, filepath.Join(h.dir, "shallow"))
	app := s.app("blog", volume.Source{URL: h.URL + "/shallow", Every: rarely})
	var out bytes.Buffer
	if err := s.Sync(t.Context(), app, "alice", &out, anything); err != nil || app.Live() != 1 {
		t.Errorf("%v\n%s", err, out.String())
	}
}

func TestInPlace(t *testing.T) {
	s := newStage(t, newClient(t))
	s.Mode = volume.OnlyFiles
	s.start()
	r := newHosting(t).repo("blog")
	one := r.git("rev-parse", "HEAD")
	app := s.app("blog", volume.Source{URL: r.url, Every: rarely})
	rig.Eventually(
		t, "one is in place",
		func() bool { return isLive(app, one) && looked(t, app).Commit == one },
	)
	two := r.commit("two", "hello", "changed\n")
	s.now("blog")
	rig.Eventually(
		t, "two is in place",
		func() bool { return isLive(app, two) && looked(t, app).Commit == two },
	)
	content, err := os.ReadFile(filepath.Join(app.Worktree(), "hello"))
	if string(content) != "changed\n" ||
		err != nil {
		t.Errorf("%q %v", content, err)
	}
	if states(app) != "retired live" {
		t.Error(states(app))
	}
	left(t, s, app)
}

// Credentials that cannot be read count as trouble.
func TestUnreadCredential(t *testing.T) {
	s := newStage(t, newDiary(here))
	key := filepath.Join(s.Volume.Root, "sources", "blog", "key")
	if err := os.MkdirAll(key, 0o700); err != nil { // not even root can read a folder as a file
		t.Fatal(err)
	}
	s.start()
	app := s.settled("blog", rarely)
	rig.Eventually(
		t, "it is said",
		func() bool { return strings.Contains(looked(t, app).Error, "sources/blog/key") },
	)
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	app.Ring()
	rig.Eventually(t, "all is well", func() bool { return looked(t, app).Error == "" })
}

// A new credential is used at once, however long the backoff is.
func TestNewCredential(t *testing.T) {
	s := newStage(t, &fakeRemote{
		look: func(_ context.Context, r remote.Remote, _ remote.Ref) (remote.Head, error) {
			if r.Token != "open sesame" {
				return remote.Head{}, errors.New("access denied")
			}
			return remote.Head{Name: "main", Commit: strings.Repeat("a", 40)}, nil
		},
		fetch: func(context.Context, remote.Remote, remote.Ref, string) (string, error) {
			return "", errors.New("no pack")
		},
	})
	s.start()
	app := s.app("blog", volume.Source{URL: "https://host/blog", Every: rarely})
	rig.Eventually(t, "it is refused", func() bool { return looked(t, app).Error == "access denied" })
	if err := s.Volume.Credentials("blog").
		Set(volume.SourceToken, []byte("open sesame\n")); err != nil {
		t.Fatal(err)
	}
	app.Ring()
	rig.Eventually(t, "it comes further", func() bool { return looked(t, app).Error == "no pack" })
	if s.log.count("open sesame") > 0 {
		t.Error("the log holds the token")
	}
}

// A commit that is too large is decided on: else it would be fetched again and again, up to the
// limit.
func TestTooLarge(t *testing.T) {
	fetches := 0
	s := newStage(t, &fakeRemote{
		look: func(context.Context, remote.Remote, remote.Ref) (remote.Head, error) {
			return remote.Head{Name: "main", Commit: strings.Repeat("a", 40)}, nil
		},
		fetch: func(context.Context, remote.Remote, remote.Ref, string) (string, error) {
			fetches++
			return "", fmt.Errorf("the pack is %w", remote.ErrTooLarge)
		},
	})
	app := s.app("blog", volume.Source{URL: "https://host.test/blog.git"})
	for range 3 {
		if err := s.Once(t.Context(), io.Discard); err == nil {
			t.Error("it went well")
		}
	}
	if l, err := app.SourceStatus(); err != nil || l.Failed == "" || l.Error != "" || fetches != 1 {
		t.Errorf("%d fetches, %+v, %v", fetches, l, err)
	}
}

// A commit that git would refuse in a push is decided on, and the next one goes live.
func TestBrokenCommit(t *testing.T) {
	s := newStage(t, newClient(t))
	s.runtime()
	s.start()
	r := newHosting(t).repo("blog")
	one := r.git("rev-parse", "HEAD")
	app := s.app("blog", volume.Source{URL: r.url, Every: rarely})
	rig.Eventually(
		t, "the first commit is live",
		func() bool { return isLive(app, one) && looked(t, app).Commit == one },
	)
	broken := r.commit(
		"broken", ".gitmodules", "[submodule \"lib\"]\n\tpath = lib\n\turl = --upload-pack=id\n",
	)
	s.now("blog")
	rig.Eventually(t, "it has its verdict", func() bool { return looked(t, app).Commit == broken })
	l := looked(t, app)
	if !strings.Contains(l.Failed, "gitmodulesUrl") || l.Error != "" || !isLive(app, one) ||
		states(app) != "live" {
		t.Errorf("%+v; %s", l, states(app))
	}
	r.git("rm", "-q", ".gitmodules")
	fixed := r.commit("fixed")
	s.now("blog")
	rig.Eventually(t, "the next is live", func() bool { return isLive(app, fixed) })
}

// A disk without space for a deploy decides nothing: nothing is fetched, and the commit goes live
// once there is space.
func TestLowDisk(t *testing.T) {
	s := newStage(t, newClient(t))
	s.DiskSpace.MinFree = 1 << 60
	s.Advice = func(what volume.Remedy) string { return string(what.Do) }
	s.runtime()
	s.start()
	r := newHosting(t).repo("blog")
	app := s.app("blog", volume.Source{URL: r.url, Every: rarely})
	rig.Eventually(t, "the problem is recorded", func() bool { return looked(t, app).Error != "" })
	problem := looked(t, app).Error
	if !strings.Contains(problem, "B free of") {
		t.Errorf("recorded without the disk space: %s", problem)
	}
	if !strings.HasSuffix(problem, "; "+string(volume.FreeDisk)) {
		t.Errorf("recorded without what to do: %s", problem)
	}
	if _, err := os.Stat(app.SourceRepo()); err == nil || len(app.Numbers()) > 0 {
		t.Errorf("fetched: %v; releases %s", err, states(app))
	}
	spacious := newSidecar(s.Volume.Root, newClient(t))
	spacious.DiskSpace.MinFree = 1 << 10
	if err := spacious.Sync(t.Context(), app, "alice", io.Discard, anything); err != nil ||
		!isLive(app, r.git("rev-parse", "HEAD")) {
		t.Errorf("with space: %v; releases %s", err, states(app))
	}
}

// A release that is being watched gives up its place for other apps.
func TestWatchingTakesNoPlace(t *testing.T) {
	s := newStage(t, newClient(t))
	s.runtime()
	r := newHosting(t).repo("blog")
	r.commit("one that is watched", "fate", "prove")
	var apps []volume.App
	for i := range maxSyncs + 1 {
		apps = append(apps, s.app(fmt.Sprint("blog", i), volume.Source{URL: r.url, Every: rarely}))
	}
	s.start()
	for _, app := range apps {
		rig.Eventually(t, app.Name+" is watched", func() bool {
			now, _ := app.Status(1)
			return now.State == volume.Proving
		})
	}
}
