package runtime

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"slices"
	"sync"
	"time"

	"paas/volume"
)

// pruner removes builds that are not needed any more, one app after the other. It runs beside the
// apps' goroutines and shares nothing with them but the volume.
//
// The app's turn makes it safe. A deploy holds the turn from before it checks out a build, or finds
// the one to roll back to, until its release is published and has a final state. So the holder of
// the turn sees a release for every build that somebody means to use, and a build without a release
// is left from a maker that was killed. Without the turn, the pruner might remove what a push has
// just checked out. It never waits for the turn: it would delay the next push for as long as the
// one before builds.
type pruner struct {
	rt       *Runtime
	memories map[string]memory // by app
	said     map[string]string // by app: the last logged reason why builds stay
	removed  bool              // since toolchains were pruned, builds have been removed

	mu      sync.Mutex
	waiting map[string]bool // apps to prune
	asked   chan struct{}   // holds one
}

const (
	pruneAfter  = time.Second // after a release goes live: mostly its push has ended then
	defaultKeep = 5
	keptLogs    = 20 // logs of the newest releases that stay
)

func newPruner(rt *Runtime) *pruner {
	return &pruner{
		rt: rt, memories: map[string]memory{}, said: map[string]string{},
		waiting: map[string]bool{}, asked: make(chan struct{}, 1),
		removed: true, // by an earlier server, perhaps
	}
}

// ask has the app pruned soon. It does not block.
func (p *pruner) ask(app string) {
	p.mu.Lock()
	p.waiting[app] = true
	p.mu.Unlock()
	select {
	case p.asked <- struct{}{}:
	default:
	}
}

// run prunes until ctx ends: each app after its volume has changed, as when a release goes live,
// and when it is asked to. If somebody has the app's turn it tries again in a second.
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
			begun, over := p.rt.handover.signals()
			if isClosed(begun) { // another server may prune by now
				select {
				case <-ctx.Done():
					return
				case <-over:
				}
			}
			again = p.round()
		}
	}
}

// round prunes the waiting apps, and reports whether any has to wait longer.
func (p *pruner) round() bool {
	p.mu.Lock()
	apps := p.waiting
	p.waiting = map[string]bool{}
	p.mu.Unlock()
	for name := range apps {
		app, err := p.rt.Volume.App(name)
		if err != nil { // destroyed meanwhile
			delete(p.memories, name)
			delete(p.said, name)
			p.removed = true
			continue
		}
		busy, err := p.prune(app)
		p.say(app, err)
		if busy {
			p.mu.Lock()
			p.waiting[name] = true
			p.mu.Unlock()
		}
	}
	busy := p.toolchains()
	p.mu.Lock()
	defer p.mu.Unlock()
	return busy || len(p.waiting) > 0
}

// toolchains removes the toolchains that no build was made with. busy: builds are in progress,
// which may use any.
func (p *pruner) toolchains() (busy bool) {
	v := p.rt.Volume
	stored, err := v.Toolchains()
	if !p.removed || err == nil && len(stored) == 0 {
		return false
	}
	if !p.rt.building.TryLock() {
		return true
	}
	used, usedErr := p.used()
	if err = errors.Join(err, usedErr); err == nil {
		for _, t := range stored {
			if !used[t] {
				err = errors.Join(err, v.RemoveToolchain(t))
				p.rt.Log.Info("unused toolchain removed", "toolchain", t)
			}
		}
	}
	p.rt.building.Unlock()
	p.removed = false
	if err != nil {
		p.rt.Log.Error("cannot remove unused toolchains", "err", err)
	}
	return false
}

// used returns the toolchains of all builds. No build may be in progress.
func (p *pruner) used() (map[volume.Toolchain]bool, error) {
	used := map[volume.Toolchain]bool{}
	names, err := p.rt.Volume.Apps()
	for _, name := range names {
		app, appErr := p.rt.Volume.App(name)
		if appErr != nil { // destroyed meanwhile
			continue
		}
		builds, buildsErr := app.Builds()
		err = errors.Join(err, buildsErr)
		for _, id := range builds {
			built, builtErr := app.Built(id)
			if errors.Is(builtErr, fs.ErrNotExist) { // it failed, or is gone
				continue
			}
			if len(built.Toolchains) == 0 { // else one is missing: the others are not
				err = errors.Join(err, builtErr)
			}
			for _, t := range built.Toolchains {
				used[t] = true
			}
		}
	}
	return used, err
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

// prune removes old logs of releases and the builds of the app that are not needed. busy: somebody
// deploys, and the builds stay. It takes the turn only if there is something to remove.
func (p *pruner) prune(app volume.App) (busy bool, err error) {
	last, err := app.Last()
	if err == nil {
		err = app.DropLogs(last - keptLogs)
	}
	if err != nil {
		return false, err
	}
	builds, err := p.unneeded(app)
	if err != nil || len(builds) == 0 {
		return false, err
	}
	done, ok := app.TryTurn("the removal of old builds")
	if !ok {
		return true, nil
	}
	err = p.remove(app)
	done()
	app.Ring() // apps that reconciled meanwhile took this for a deploy
	return false, err
}

// remove removes the builds that are not needed. The caller holds the turn.
func (p *pruner) remove(app volume.App) error {
	builds, err := p.unneeded(app)
	for _, id := range builds {
		err = errors.Join(err, app.RemoveBuild(id))
	}
	if len(builds) == 0 || err != nil {
		return err
	}
	p.removed = true
	p.rt.Log.Info("old builds removed", "app", app.Name, "builds", builds)
	// Under the turn: no build is about to use what this removes.
	return p.rt.Engine.Sweep(context.Background(), app.Name)
}

// unneeded lists the builds of the app that are not needed: all but those of the live release, of a
// release under way, and of the last ones that were live. If the history cannot be read, it returns
// an error.
func (p *pruner) unneeded(app volume.App) ([]string, error) {
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

// memory is what the pruner remembers of an app's history, which only grows.
type memory struct {
	id     string   // of the app: another may have its name by now
	upTo   int      // the release that was live then
	builds []string // of the last releases that were live until then, most recent first, each once
}

// lived lists the builds that were live most recently, the live one's first. It reads the releases
// since its last call; the first call reads back until it has found as many as are kept.
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
	if known.upTo > live { // the link is lost, perhaps
		return known.builds, nil
	}
	if live > 0 { // this release must be readable
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

// past is a release of the history.
type past struct {
	build string
	live  bool // now, or before
}

// pasts goes back from the live release to the known ones, which come last. It skips damaged
// releases that are not live.
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
			lived := n == live || s.State == volume.Live || s.State == volume.Retired
			if !yield(past{r.Build, lived}) {
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

// recent lists the builds of the first keep releases that were live, each once.
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
