package sidecar

import (
	"cmp"
	"context"
	"sync"
	"time"

	"paas/volume"
)

// version is what is told of a new version.
type version struct {
	App     string `json:"app"`
	Commit  string `json:"commit"`
	Release string `json:"release"` // v7
	Branch  string `json:"branch"`
	URL     string `json:"url,omitempty"`
}

// announce runs Exec and calls Call for a release that is live now, and blocks until they took it or
// were tried in vain. A process that dies meanwhile leaves it undone: who must not miss a version
// looks at the app.
func (s *Sidecar) announce(ctx context.Context, app volume.App, r volume.Release) {
	v := version{App: app.Name, Commit: r.Commit, Release: r.String(), Branch: r.Branch}
	if s.URL != nil {
		v.URL = s.URL(app.Name)
	}
	var both sync.WaitGroup
	if s.Exec != "" {
		both.Go(func() { s.insist(ctx, v, "exec", s.exec) })
	}
	if s.Call != "" {
		both.Go(func() { s.insist(ctx, v, "call", s.call) })
	}
	both.Wait()
}

// insist tries to tell of a version up to four times, with pauses of 1, 2 and 4 s.
func (s *Sidecar) insist(ctx context.Context, v version, how string, tell func(context.Context, version) error) {
	const tries = 4
	for try, wait := 1, time.Second; ; try, wait = try+1, 2*wait {
		err := tell(ctx, v)
		switch {
		case err == nil:
			s.Log.Info("announced", "app", v.App, "release", v.Release, "by", how)
			return
		case ctx.Err() != nil || try == tries:
			s.Log.Error("not announced", "app", v.App, "release", v.Release, "by", how, "err", cmp.Or(ctx.Err(), err))
			return
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}
