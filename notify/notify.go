// Package notify tells the outside world that a new version of an app is live: it runs a program,
// or POSTs to a URL. It knows neither the volume nor who made the version.
package notify

import (
	"cmp"
	"context"
	"log/slog"
	"sync"
	"time"

	"paas/pause"
)

// Notifier tells about new versions. Its zero value, but for Log, tells nobody.
type Notifier struct {
	Exec string // path of a program that is run without arguments; empty: none
	// Call is the http(s) URL that the version is POSTed to as JSON; treated as a secret; empty:
	// none.
	Call string
	Log  *slog.Logger
}

// Version describes a new version.
type Version struct {
	App     string `json:"app"`
	Commit  string `json:"commit"`
	Release string `json:"release"` // v7
	Branch  string `json:"branch"`
	URL     string `json:"url,omitempty"` // the app's address, if it has one
}

// Announce runs Exec and calls Call, side by side, and blocks until both have succeeded or used up
// their tries. If the process dies meanwhile, nobody is told later. A program that must not miss a
// version has to poll the app.
func (n Notifier) Announce(ctx context.Context, v Version) {
	var both sync.WaitGroup
	if n.Exec != "" {
		both.Go(func() { n.insist(ctx, v, "exec", n.exec) })
	}
	if n.Call != "" {
		both.Go(func() { n.insist(ctx, v, "call", n.call) })
	}
	both.Wait()
}

// insist tries to tell about a version up to four times, with pauses of 1, 2 and 4 s.
func (n Notifier) insist(ctx context.Context, v Version, how string,
	tell func(context.Context, Version) error) {
	const tries = 4
	for try, wait := 1, time.Second; ; try, wait = try+1, 2*wait {
		err := tell(ctx, v)
		switch {
		case err == nil:
			n.Log.Info("announced", "app", v.App, "release", v.Release, "by", how)
			return
		case ctx.Err() != nil || try == tries:
			n.Log.Error("not announced", "app", v.App, "release", v.Release, "by", how,
				"err", cmp.Or(ctx.Err(), err))
			return
		}
		pause.For(ctx, wait, nil)
	}
}
