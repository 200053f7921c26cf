package sidecar

import (
	"cmp"
	"context"
	"log/slog"
	"net"
	"sync"
	"time"

	"paas/deploy"
	"paas/git"
	"paas/remote"
	"paas/volume"
)

// Remote asks remote repositories. Its calls return soon after ctx ends.
type Remote interface {
	// Head returns what ref points at.
	Head(ctx context.Context, r remote.Remote, ref remote.Ref) (remote.Head, error)
	// Fetch fetches the commit that ref points at into the bare repository dir, which it makes if needed. It
	// does not make the folder above, which is the app's: the app may be gone.
	Fetch(ctx context.Context, r remote.Remote, ref remote.Ref, dir string) (commit string, err error)
	// Reach connects to host, host:port, and hangs up; the error is nil if something listens there.
	Reach(ctx context.Context, host string) error
}

// Sidecar follows the sources of all apps of a volume. Set the fields; then [Sidecar.Run] follows
// until its ctx ends, and [Sidecar.Sync] and [Sidecar.Once] poll a single time.
type Sidecar struct {
	Volume *volume.Volume
	Remote Remote
	Mode   volume.Mode             // of apps that set none; empty: volume.ByRelease
	URL    func(app string) string // an app's address as people type it; nil: none is shown

	Advice func(volume.Remedy) string // a remedy, as people type it; nil: none is shown

	MaxFiles int   // files and folders in one commit; 0: no limit
	MaxTree  int64 // bytes of all files in one commit; 0: no limit

	DiskSpace deploy.DiskSpace // that a fetch and a deploy need
	Spares    *deploy.Spares   // nil: there are none

	// Announce tells the outside world that a release is live, and blocks until that is done; nil:
	// nobody is told.
	Announce func(ctx context.Context, app volume.App, r volume.Release)

	Addr     string       // where health, metrics and webhooks are served, host:port; empty: nowhere
	Listener net.Listener // if set, is used for that instead of Addr

	Log *slog.Logger

	once      sync.Once
	inspector git.Inspector
	polls     places // polling at once
	syncs     places // fetching and deploying at once
	outages   outages
	listener  net.Listener
	unread    sync.Map // by app: why its source cannot be read, as last logged

	mu        sync.Mutex
	followers map[string]*follower // by app; one that has ended stays until another takes its place
	beat      time.Time            // when Run last went round its loop

	minPause   time.Duration      // between polls that others ask for
	breakpoint func(where string) // for tests, which end the process here
}

const (
	maxPolls = 32
	maxSyncs = 8
	sweep    = time.Minute // interval between checks of all apps, in case a ring was lost

	defaultMinPause = time.Second
)

func (s *Sidecar) prepare() {
	s.once.Do(func() {
		s.inspector = git.Inspector{MaxFiles: s.MaxFiles, MaxBytes: s.MaxTree}
		s.minPause = cmp.Or(s.minPause, defaultMinPause)
		s.polls, s.syncs = newPlaces(maxPolls), newPlaces(maxSyncs)
		s.outages.reach = s.Remote.Reach
	})
}

// Run follows all sources, and serves what [Sidecar.Listen] opened, until ctx ends. A deploy that
// is not decided on by then is taken back, and done again at the next start.
func (s *Sidecar) Run(ctx context.Context) error {
	s.prepare()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	served := make(chan error, 1)
	if s.listener != nil {
		go func() { served <- s.serve(ctx) }()
	}
	rung := newBells()
	defer s.Volume.Watch(rung.ring)()
	var running sync.WaitGroup
	defer running.Wait()
	defer stop() // before the wait
	tick := time.NewTicker(sweep)
	defer tick.Stop()

	known, err := s.Volume.Apps()
	if err != nil {
		return err
	}
	for _, name := range known {
		first := atOnce // a source that was never polled does not wait
		if app, err := s.Volume.App(name); err == nil {
			if l, err := app.SourceStatus(); err == nil && l.Source != "" {
				first = anyPhase
			}
		}
		s.adjust(ctx, &running, name, first)
	}
	for {
		s.mu.Lock()
		s.beat = time.Now()
		s.mu.Unlock()
		select {
		case <-ctx.Done():
			if s.listener != nil {
				return <-served
			}
			return nil
		case err := <-served:
			return err
		case <-tick.C:
			rung.ringAll(s.names())
		case <-rung.wake:
			for _, app := range rung.take() {
				s.adjust(ctx, &running, app, atOnce)
			}
		}
	}
}

// names are the names of all apps, and of all that are followed.
func (s *Sidecar) names() []string {
	names, err := s.Volume.Apps()
	if err != nil {
		s.Log.Error("apps not listed", "err", err)
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range s.followers {
		names = append(names, name)
	}
	return names
}

// adjust starts or stops following the app's source, as the app is now.
func (s *Sidecar) adjust(ctx context.Context, running *sync.WaitGroup, name string, first phase) {
	if volume.CheckName(name) != nil {
		return
	}
	want, err := s.subjectOf(name)
	if err != nil {
		if was, _ := s.unread.Swap(name, err.Error()); was != err.Error() { // once for each reason
			s.Log.Error("source not read", "app", name, "err", err)
		}
		return
	}
	s.unread.Delete(name)
	s.mu.Lock()
	defer s.mu.Unlock()
	old := s.followers[name]
	switch {
	case old == nil && want == nil:
		return
	case old != nil && !old.stopped && want != nil && old.same(*want):
		old.settings.ring()
		return
	case old != nil && !old.stopped:
		old.stopped = true
		old.stop()
		s.Log.Info("no longer following", "app", name, "url", old.source.URL)
	}
	if want == nil {
		if old.ended() {
			delete(s.followers, name)
		}
		return
	}
	f := newFollower(s, *want)
	ctx, f.stop = context.WithCancel(ctx)
	if s.followers == nil {
		s.followers = map[string]*follower{}
	}
	s.followers[name] = f
	s.Log.Info(
		"following", "app", name, "url", f.source.URL, "branch", f.source.Branch, "every",
		f.source.Every,
	)
	running.Go(func() { f.run(ctx, old, first) })
}

// announce tells about a release that is live now. If the process dies meanwhile, nobody is told.
func (s *Sidecar) announce(ctx context.Context, app volume.App, r volume.Release) {
	if s.Announce != nil {
		s.Announce(ctx, app, r)
	}
}

func (s *Sidecar) reached(where string) {
	if s.breakpoint != nil {
		s.breakpoint(where)
	}
}
