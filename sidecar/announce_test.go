package sidecar

import (
	"context"
	"strings"
	"sync"
	"testing"

	"paas/rig"
	"paas/volume"
)

// announced records what a sidecar announces.
type announced struct {
	mu   sync.Mutex
	said []string
}

func (a *announced) say(_ context.Context, app volume.App, r volume.Release) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.said = append(a.said, app.Name+" "+r.String()+" "+r.Commit)
}

func (a *announced) text() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return strings.Join(a.said, "\n")
}

// A new version is announced once; one that failed is not.
func TestAnnounce(t *testing.T) {
	s := newStage(t, newClient(t))
	a := new(announced)
	s.Announce = a.say
	s.runtime()
	r := newHosting(t).repo("blog")
	app := s.app("blog", volume.Source{URL: r.url, Every: rarely})
	for range 2 { // the second time there is no new version
		if out, err := s.sync(app); err != nil {
			t.Fatal(err, out)
		}
	}
	r.commit("bad", "fate", "fail build: no")
	if _, err := s.sync(app); err == nil {
		t.Fatal("the bad commit went live")
	}
	if want := "blog v1 " + r.git("rev-parse", "HEAD~1"); a.text() != want {
		t.Errorf("%q, want %q", a.text(), want)
	}
}

// The follower announces as well.
func TestAnnounceFollowed(t *testing.T) {
	s := newStage(t, newClient(t))
	a := new(announced)
	s.Announce = a.say
	s.runtime()
	s.start()
	s.app("blog", volume.Source{URL: newHosting(t).repo("blog").url, Every: rarely})
	rig.Eventually(t, "v1 is announced", func() bool { return strings.HasPrefix(a.text(), "blog v1 ") })
}
