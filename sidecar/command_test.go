package sidecar

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"paas/remote"
	"paas/rig"
	"paas/volume"
)

// sync runs Sync and returns what it printed.
func (s *stage) sync(app volume.App) (string, error) {
	var out bytes.Buffer
	err := s.Sync(s.t.Context(), app, "alice", &out, func(r volume.Release) {
		fmt.Fprintf(&out, "live: %s\n", r)
	})
	return out.String(), err
}

func anything(volume.Release) {}

func TestSync(t *testing.T) {
	s := newStage(t, newClient(t))
	s.runtime()
	r := newHosting(t).repo("blog")
	bare, err := s.Volume.Create("bare")
	if err != nil {
		t.Fatal(err)
	}
	_, err = s.sync(bare)
	if volume.RemedyOf(err) != (volume.Remedy{Do: volume.FollowRepository, App: "bare"}) {
		t.Error(err)
	}
	app := s.app("blog", volume.Source{URL: r.url, Every: rarely})
	one := r.git("rev-parse", "HEAD")
	out, err := s.sync(app)
	if err != nil {
		t.Fatal(err)
	}
	contains(
		t, out,
		"-----> Looking at "+r.url+"\n       main is at "+one[:7]+"\n-----> blog: 1 file, 6 bytes at "+one[:7]+" \"one\"\n",
		"compiled", "live: v1\n",
	)
	if release, _ := app.Release(1); release.By != "alice" || release.Cause != volume.CauseSync {
		t.Errorf("%+v", release)
	}
	out, err = s.sync(app)
	if err != nil || len(app.Numbers()) != 1 {
		t.Error(err, app.Numbers())
	}
	contains(t, out, "       it is live already\nlive: v1\n")

	r.commit("two", "fate", "fail build: false: exit status 1")
	for n := range 2 { // a person who asks wants it tried again
		out, err = s.sync(app)
		if err == nil || !strings.Contains(err.Error(), "build: false: exit status 1") ||
			len(app.Numbers()) != 2+n {
			t.Error(err, app.Numbers())
		}
		contains(
			t, out, "       look at line 3\n",
			"v1 keeps serving. Fix it, commit, and push to the source.",
		)
	}
	if l := looked(t, app); l.Release != 3 || l.Failed == "" {
		t.Errorf("%+v", l)
	}
	left(t, s, app)
}

// A person who leaves before the commit is decided on has changed nothing.
func TestSyncLeft(t *testing.T) {
	s := newStage(t, newClient(t))
	s.runtime()
	r := newHosting(t).repo("blog")
	r.commit("hangs", "fate", "hang")
	app := s.app("blog", volume.Source{URL: r.url, Every: rarely})
	ctx, leave := context.WithCancel(t.Context())
	ended := make(chan error)
	go func() { ended <- s.Sync(ctx, app, "alice", io.Discard, anything) }()
	rig.Eventually(t, "it is building", func() bool { return states(app) == "building" })
	leave()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	rig.Eventually(t, "it is cancelled", func() bool { return states(app) == "cancelled" })
	if l := looked(t, app); l.Commit != "" || app.Live() != 0 {
		t.Errorf("%+v", l)
	}
	left(t, s, app)
}

// Two concurrent syncs of one app, in one process or two, run one after the other, and deploy once.
func TestSyncTwice(t *testing.T) {
	s := newStage(t, newClient(t))
	s.runtime()
	s.start()
	r := newHosting(t).repo("blog")
	app := s.app("blog", volume.Source{URL: r.url, Every: rarely})
	ended := make(chan error)
	for range 3 {
		go func() { ended <- s.Sync(t.Context(), app, "alice", io.Discard, anything) }()
	}
	for range 3 {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	if states(app) != "live" {
		t.Error(states(app))
	}
}

func TestOnce(t *testing.T) {
	s := newStage(t, newClient(t))
	s.runtime()
	h := newHosting(t)
	good, bad := h.repo("good"), h.repo("bad")
	bad.commit("bad", "fate", "fail boot: web: exit status 1")
	s.app("good", volume.Source{URL: good.url})
	s.app("bad", volume.Source{URL: bad.url})
	s.app("gone", volume.Source{URL: h.URL + "/gone"})
	s.Volume.Create("bare")
	once := func() (lines []string, failed string) {
		t.Helper()
		var out bytes.Buffer
		err := s.Once(t.Context(), &out)
		if err == nil {
			t.Fatal("all is well")
		}
		lines = strings.Split(strings.TrimSpace(out.String()), "\n")
		slices.Sort(lines)
		return lines, err.Error()
	}
	lines, failed := once()
	if len(lines) != 3 || failed != "not synced: bad, gone" {
		t.Errorf("%q\n%s", lines, failed)
	}
	contains(
		t, strings.Join(lines, "\n"), "-----> good v1 is live: http://good.test",
		" !     bad v1: boot: web: exit status 1",
	)
	lines, failed = once()
	contains(
		t, strings.Join(lines, "\n"),
		"-----> good: nothing new; main is at "+good.git("rev-parse", "--short=7", "HEAD"),
		"bad v1: boot",
	)
	if app, _ := s.Volume.App("bad"); failed != "not synced: bad, gone" || len(app.Numbers()) != 1 {
		t.Errorf("%s; %v", failed, app.Numbers())
	}
}

// gatedRemote is a real client whose fetches wait.
type gatedRemote struct {
	Remote
	fetching chan struct{}
	open     chan struct{}
}

func newGatedRemote(r Remote) *gatedRemote {
	return &gatedRemote{Remote: r, fetching: make(chan struct{}, 100), open: make(chan struct{})}
}

func (g *gatedRemote) Fetch(
	ctx context.Context, r remote.Remote, ref remote.Ref, dir string,
) (string, error) {
	g.fetching <- struct{}{}
	<-g.open // ignoring ctx is the worst case
	return g.Remote.Fetch(context.WithoutCancel(ctx), r, ref, dir)
}

// A fetched commit is not deployed if the source was changed or unset meanwhile.
func TestChangedWhileSyncing(t *testing.T) {
	for _, to := range []string{"other", "none"} {
		t.Run(to, func(t *testing.T) {
			g := newGatedRemote(newClient(t))
			s := newStage(t, g)
			s.runtime()
			s.start()
			h := newHosting(t)
			old, other := h.repo("old"), h.repo("other")
			app := s.app("blog", volume.Source{URL: old.url, Every: rarely})
			<-g.fetching
			want := ""
			if to == "other" {
				want = other.commit("other", "a", "b")
				if err := app.SetSource(volume.Source{URL: other.url, Every: rarely}); err != nil {
					t.Fatal(err)
				}
			} else if err := app.UnsetSource(); err != nil {
				t.Fatal(err)
			}
			f := s.follower("blog")
			rig.Eventually(t, "it is seen", func() bool {
				s.mu.Lock()
				defer s.mu.Unlock()
				return f.stopped || s.followers["blog"] != f
			})
			close(g.open)
			if want != "" {
				rig.Eventually(
					t, "the other is live",
					func() bool { return isLive(app, want) && looked(t, app).Commit == want },
				)
				if n := s.follower("blog").looksDone(); n != 1 || len(app.Numbers()) != 1 {
					t.Errorf("%d looks; %s", n, states(app))
				}
			} else {
				rig.Eventually(t, "it ends", f.ended)
				if len(app.Numbers()) != 0 {
					t.Errorf("%s", states(app))
				}
			}
			left(t, s, app)
		})
	}
}

// The same for a sync that a person asked for, which nothing stops.
func TestChangedWhilePersonSyncs(t *testing.T) {
	g := newGatedRemote(newClient(t))
	s := newStage(t, g)
	s.runtime()
	h := newHosting(t)
	old, other := h.repo("old"), h.repo("other")
	app := s.app("blog", volume.Source{URL: old.url})
	ended := make(chan error)
	go func() { ended <- s.Sync(t.Context(), app, "alice", io.Discard, anything) }()
	<-g.fetching
	if err := app.SetSource(volume.Source{URL: other.url}); err != nil {
		t.Fatal(err)
	}
	close(g.open)
	if err := <-ended; !errors.Is(err, errChanged) {
		t.Error(err)
	}
	if l := looked(t, app); len(app.Numbers()) != 0 || l != (volume.SourceStatus{}) {
		t.Errorf("%s; %+v", states(app), l)
	}
}

// A release of a source that is replaced while it builds is taken back.
func TestChangedWhileBuilding(t *testing.T) {
	s := newStage(t, newClient(t))
	s.runtime()
	s.start()
	h := newHosting(t)
	old, other := h.repo("old"), h.repo("other")
	old.commit("hangs", "fate", "hang")
	want := other.commit("other", "a", "b")
	app := s.app("blog", volume.Source{URL: old.url, Every: rarely})
	rig.Eventually(t, "it is building", func() bool { return states(app) == "building" })
	if err := app.SetSource(volume.Source{URL: other.url, Every: rarely}); err != nil {
		t.Fatal(err)
	}
	rig.Eventually(
		t, "the other is live",
		func() bool { return isLive(app, want) && looked(t, app).Commit == want },
	)
	if states(app) != "cancelled live" {
		t.Error(states(app))
	}
}

// An app that is destroyed while its source is fetched stays destroyed, and the next app of that
// name gets nothing of it.
func TestDestroyedWhileSyncing(t *testing.T) {
	for _, again := range []bool{false, true} {
		g := newGatedRemote(newClient(t))
		s := newStage(t, g)
		s.runtime()
		s.start()
		app := s.app("blog", volume.Source{URL: newHosting(t).repo("blog").url, Every: rarely})
		<-g.fetching
		f := s.follower("blog")
		if err := s.Volume.Destroy(app); err != nil {
			t.Fatal(err)
		}
		if again {
			if _, err := s.Volume.Create("blog"); err != nil {
				t.Fatal(err)
			}
		}
		close(g.open)
		rig.Eventually(t, "the sync ends", f.ended)
		if names, _ := s.Volume.Apps(); !again && len(names) > 0 {
			t.Errorf("it has come back: %v", names)
		}
		if n := len(app.Numbers()); n > 0 {
			t.Errorf("%d releases", n)
		}
	}
}

// At shutdown a release under way is taken back, and made again at the next start.
func TestStopped(t *testing.T) {
	s := newStage(t, newClient(t))
	s.runtime()
	stop := s.start()
	r := newHosting(t).repo("blog")
	r.commit("hangs", "fate", "hang")
	app := s.app("blog", volume.Source{URL: r.url})
	rig.Eventually(t, "it is building", func() bool { return states(app) == "building" })
	stop()
	rig.Eventually(t, "it is cancelled", func() bool { return states(app) == "cancelled" })
	if l := looked(t, app); l.Commit != "" || l.Error != "" {
		t.Errorf("%+v", l)
	}
	left(t, s, app)
	good := r.commit("good", "fate", "")
	if err := app.SetSource(volume.Source{URL: r.url, Every: volume.MinEvery}); err != nil {
		t.Fatal(err)
	}
	again := newStage(t, s.Remote)
	again.Sidecar.Volume = s.Volume
	again.start()
	rig.Eventually(t, "it is live", func() bool { return isLive(app, good) })
}
