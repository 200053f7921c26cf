package runtime

import (
	"context"
	"errors"
	"io"
	"slices"
	"sync"
	"time"

	"paas/formation/appjson"
	"paas/say"
	"paas/volume"
)

// instance is one release running: the processes of its formation.
type instance struct {
	home    *home
	n       int
	release volume.Release
	built   volume.Built
	tree    string // where its processes run
	file    appjson.File

	members map[place]*member // on the app's goroutine once booted
}

// newInstance knows the release by its number alone; load reads the rest.
func newInstance(h *home, n int) *instance {
	return &instance{home: h, n: n, members: map[place]*member{}}
}

// load reads what is to run. It is no matter to call it again.
func (i *instance) load() error {
	if i.release.N != 0 {
		return nil
	}
	r, err := i.home.app.Release(i.n)
	if err != nil {
		return err
	}
	if i.built, err = i.home.app.BuiltOf(r); err != nil {
		return err
	}
	i.release = r
	if err := i.find(); err != nil {
		i.release = volume.Release{}
		return err
	}
	return nil
}

// find looks where the release's files are, and reads its app.json.
func (i *instance) find() (err error) {
	if i.tree, err = i.home.app.ReleaseTree(i.release); err != nil {
		return err
	}
	i.file, err = appjson.Read(i.tree)
	return err
}

// spec is what every process of the release has, but for what it runs.
func (i *instance) spec(processType string, index int) Spec {
	return specOf(i.home.app, i.release, i.built, i.tree, processType, index)
}

// specOf is spec of a release whose processes run in tree.
func specOf(app volume.App, r volume.Release, built volume.Built, tree, processType string, index int) Spec {
	return Spec{
		App: app.Name, Release: r.N, Type: processType, Index: index,
		Tree: tree, Top: app.BuildTree(r.Build), Cache: app.Cache(), Data: app.Data(), Built: built, Config: r.Settings.Config,
	}
}

// wanted are the processes that are to run, as the settings are now.
func (i *instance) wanted(s volume.Wanted) []place {
	if s.Stopped == i.n {
		return nil
	}
	return places(processTypes(i.built), s.Formation, i.file.Formation)
}

// boot starts what has to be healthy before the release gets traffic, and waits until it is. What
// it prints meanwhile is shown on out.
func (i *instance) boot(ctx context.Context, s volume.Wanted, out io.Writer) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	places := i.early(s)
	for _, p := range places {
		i.members[p] = newMember(i, p, nameIn(places, p), s)
	}
	shared := say.NewShared(out)
	ended := make(chan error, len(places))
	for _, m := range i.members {
		go func() {
			shown := say.NewIndent(shared)
			if len(places) > 1 {
				shown = say.NewIndentNamed(shared, m.place.String())
			}
			m.out.show(shown)
			err := m.start(ctx)
			m.out.show(nil)
			shown.Close()
			ended <- err
		}()
	}
	var first error
	for range places {
		if err := <-ended; err != nil && first == nil {
			first = err
			cancel(errOther) // the others need not be waited for
		}
	}
	return first
}

// early are the processes that [instance.boot] starts.
func (i *instance) early(s volume.Wanted) []place {
	return slices.DeleteFunc(i.wanted(s), func(p place) bool { return !bootsEarly(p, i.file) })
}

var errOther = errors.New("another process of the release has failed")

// stop ends all its processes for good. It blocks for up to grace.
func (i *instance) stop(grace time.Duration) {
	var all sync.WaitGroup
	for _, m := range i.members {
		all.Go(func() { m.stop(grace) })
	}
	all.Wait()
}

// sorted are the members, web first.
func (i *instance) sorted() []*member {
	var all []*member
	for _, m := range i.members {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b *member) int { return comparePlaces(a.place, b.place) })
	return all
}
