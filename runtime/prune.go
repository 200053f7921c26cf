package runtime

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"sync"
	"time"

	"paas/volume"
)

// pruner takes away the builds that nobody needs any more, one app after the other. It runs beside
// the apps' own goroutines and shares nothing with them but the volume.
//
// What guards it is the app's turn. Whoever deploys holds that from before they check a build out, or
// find the one to roll back to, until their release is published and has its verdict. So who has the
// turn sees every build that somebody means to use in a release that needs it, and a build of no
// release is one whose maker was killed between the two. To decide without the turn would be to
// take away what a push has just checked out. The turn is never waited for: a pruner in the queue
// would hold up the push behind it for as long as the one before it builds.
type pruner struct {
	rt       *Runtime
	memories map[string]memory // by app
	said     map[string]string // by app: why its builds could not be removed, as the log has it

	mu      sync.Mutex
	waiting map[string]bool // apps to look at
	asked   chan struct{}   // one place
}

const (
	pruneAfter  = time.Second // of a release going live: its push has ended then, mostly
	defaultKeep = 5
	keptLogs    = 20 // of the newest releases
)

func newPruner(rt *Runtime) *pruner {
	return &pruner{
		rt: rt, memories: map[string]memory{}, said: map[string]string{},
		waiting: map[string]bool{}, asked: make(chan struct{}, 1),
	}
}

// ask has the app looked at soon. It does not block.
func (p *pruner) ask(app string) {
	p.mu.Lock()
	p.waiting[app] = true
	p.mu.Unlock()
	select {
	case p.asked <- struct{}{}:
	default:
	}
}

// run prunes until ctx ends: after each ring of an app's bell, which is rung when a release goes live,
// and when it is asked to. An app whose turn is taken is looked at again in a second.
func (p *pruner) run(ctx context.Context) {
	defer p.rt.Volume.Watch(p.ask)()
	for {
		select {
		case <-ctx.Done():
			return
		case <-p.asked:
		}
		for again := true; again; {
			select {
			case <-ctx.Done():
				return
			case <-time.After(pruneAfter):
			}
			again = p.round(ctx)
		}
	}
}

// round looks at the apps that wait for it, and says whether any still does.
func (p *pruner) round(ctx context.Context) bool {
	p.mu.Lock()
	apps := p.waiting
	p.waiting = map[string]bool{}
	p.mu.Unlock()
	for name := range apps {
		app, err := p.rt.Volume.App(name)
		if err != nil { // destroyed since
			delete(p.memories, name)
			delete(p.said, name)
			continue
		}
		busy, err := p.prune(ctx, app)
		p.say(app, err)
		if busy {
			p.mu.Lock()
			p.waiting[name] = true
			p.mu.Unlock()
		}
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.waiting) > 0
}

// say logs why an app's builds cannot be removed, once for each reason.
func (p *pruner) say(app volume.App, err error) {
	if err == nil {
		delete(p.said, app.Name)
		return
	}
	if reason := reasonOf(err); app.Exists() && p.said[app.Name] != reason {
		p.said[app.Name] = reason
		p.rt.Log.Error("cannot remove old builds", "app", app.Name, "err", err)
	}
}

// prune removes old logs of releases, and the builds of the app that are spare. It says busy, and leaves
// the builds, while somebody deploys. It looks before it asks for the turn, so that nobody waits for a
// look that finds nothing.
func (p *pruner) prune(ctx context.Context, app volume.App) (busy bool, err error) {
	last, err := app.Last()
	if err == nil {
		err = app.DropLogs(last - keptLogs)
	}
	if err != nil {
		return false, err
	}
	builds, err := p.spare(app)
	if err != nil || len(builds) == 0 {
		return false, err
	}
	done, ok := app.TryTurn("the removal of old builds")
	if !ok {
		return true, nil
	}
	remove, err := p.drop(app)
	done()
	app.Ring() // a look meanwhile took the turn for a deploy
	for _, f := range remove {
		if ctx.Err() == nil { // else what is left goes with this process's part of tmp/
			err = errors.Join(err, f())
		}
	}
	return false, err
}

// drop takes what is spare out of the app, for whoever has its turn. remove then removes the files.
func (p *pruner) drop(app volume.App) (remove []func() error, err error) {
	builds, err := p.spare(app)
	for _, id := range builds {
		f, dropErr := app.DropBuild(id)
		remove, err = append(remove, f), errors.Join(err, dropErr)
	}
	if len(builds) == 0 || err != nil {
		return remove, err
	}
	p.rt.Log.Info("old builds removed", "app", app.Name, "builds", builds)
	return remove, p.rt.Engine.Sweep(context.Background(), app.Name) // still in our turn: no build is about to use what it takes
}

// spare are the builds of the app that may go: all but those of the live release, of one under way,
// and the last ones that were live. The error is that its history cannot be read, and then none may.
func (p *pruner) spare(app volume.App) ([]string, error) {
	builds, err := app.Builds()
	if err != nil || len(builds) == 0 {
		return nil, err
	}
	needed, err := p.lived(app)
	if err != nil {
		return nil, err
	}
	open, err := app.Open()
	if err != nil {
		return nil, err
	}
	for _, n := range open {
		r, err := app.Release(n)
		if err != nil {
			return nil, err
		}
		needed = append(needed, r.Build)
	}
	return slices.DeleteFunc(builds, func(id string) bool {
		return slices.Contains(needed, id) || p.rt.held(app.Name, id)
	}), nil
}

// memory is what the pruner remembers of an app, for its history only grows.
type memory struct {
	id     string   // of the app: another may have taken its name
	upTo   int      // the release that was live
	builds []string // of the releases that were live until then: the last ones, most recent first, each once
}

// lived are the builds that were live most recently, the live one's first. It reads the releases since
// its last call; the first one reads as far back as it takes to find as many as are kept.
func (p *pruner) lived(app volume.App) ([]string, error) {
	id, err := app.Identity()
	if err != nil {
		return nil, err
	}
	known := p.memories[app.Name]
	if known.id != id {
		known = memory{id: id}
	}
	live := app.Live()
	if known.upTo > live { // the link is lost, say
		return known.builds, nil
	}
	if live > 0 { // the one release of which nothing can be passed over
		if _, err := app.Release(live); err != nil {
			return nil, err
		}
	}
	var read error
	builds := recent(cmp.Or(p.rt.KeepBuilds, defaultKeep), pasts(app, live, known, &read))
	if read != nil {
		return nil, read
	}
	p.memories[app.Name] = memory{id, live, builds}
	return builds, nil
}

// past is what matters here of a release.
type past struct {
	build string
	live  bool // now, or before
}

// pasts goes back from the live release, as far as what is known, which comes last. A damaged release
// that is not live is passed over.
func pasts(app volume.App, live int, known memory, unread *error) iter.Seq[past] {
	return func(yield func(past) bool) {
		for n, err := range app.Back(live) {
			if n <= known.upTo && err == nil {
				break
			}
			var r volume.Release
			if err == nil {
				r, err = app.Release(n)
			}
			if volume.IsDamage(err) {
				continue
			}
			var s volume.Status
			if err == nil {
				s, err = app.Status(n)
			}
			if err != nil {
				*unread = fmt.Errorf("v%d: %w", n, err)
				return
			}
			if !yield(past{r.Build, n == live || s.State == volume.Live || s.State == volume.Retired}) {
				return
			}
		}
		for _, build := range known.builds {
			if !yield(past{build, true}) {
				return
			}
		}
	}
}

// recent are the builds of the first so many releases that were live, each once.
func recent(keep int, releases iter.Seq[past]) (builds []string) {
	for r := range releases {
		if r.live && r.build != "" && !slices.Contains(builds, r.build) {
			builds = append(builds, r.build)
		}
		if len(builds) == keep {
			break
		}
	}
	return builds
}
