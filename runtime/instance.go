package runtime

import (
	"cmp"
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"paas/builder/cmdline"
	"paas/engine"
	"paas/formation"
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

// image is what its processes are made of.
func (i *instance) image() engine.Image {
	return engine.Image{App: i.home.app.Name, Build: i.release.Build, Folder: i.release.Settings.BuildDir}
}

// unit is what the engine is to run under the name.
func (i *instance) unit(name engine.UnitName, w volume.Wanted) engine.Unit {
	h := i.home
	listens := name.Type == formation.Web
	return engine.Unit{
		Name: name, Image: i.image(), Argv: cmdline.Arguments(i.built.Processes[name.Type]),
		Env:    h.rt.env(h.app, i.release, i.built, i.tree, listens),
		Limits: w.LimitsOf(name.Type), Listens: listens, Grace: cmp.Or(w.Grace, h.rt.grace()), Stable: i.stable(name.Type),
	}
}

// stableAfter is how long a process must have been healthy for its end to be a first one again.
const stableAfter = time.Minute

// stable is how long a process runs that was healthy for so long.
func (i *instance) stable(processType string) time.Duration {
	stable := stableAfter
	if processType == formation.Web {
		stable += cmp.Or(i.home.rt.Boot, time.Minute)
	}
	return stable + i.uptime(processType)
}

// job is a command to run once with the release.
func (i *instance) job(processType string, index int, argv []string, w volume.Wanted) engine.Job {
	h := i.home
	return jobOf(h.rt, h.app, i.release, i.built, i.tree, processType, index, argv, w)
}

// jobOf is job of a release whose processes run in tree.
func jobOf(rt *Runtime, app volume.App, r volume.Release, built volume.Built, tree, processType string, index int, argv []string, w volume.Wanted) engine.Job {
	return engine.Job{
		App: app.Name, Release: r.N, Type: processType, Index: index,
		Image: engine.Image{App: app.Name, Build: r.Build, Folder: r.Settings.BuildDir},
		Argv:  argv, Env: rt.env(app, r, built, tree, false), Limits: w.LimitsOf(processType),
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
	i.home.units.want(s, i.sorted()...)
	shared := say.NewShared(out)
	ended := make(chan error, len(places))
	for _, m := range i.members {
		go func() {
			shown := say.NewIndent(shared)
			if len(places) > 1 {
				shown = say.NewIndentNamed(shared, m.place.String())
			}
			err := m.boot(ctx, shown)
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

// boot waits until the member, which the engine runs, is healthy. What its processes print until then is shown
// on out.
func (m *member) boot(ctx context.Context, out io.Writer) error {
	showing, hide := context.WithCancel(ctx)
	var shown sync.WaitGroup
	shown.Go(func() { m.show(showing, out) })
	p, err := m.healthy(ctx, nil)
	if p != nil && isClosed(p.exited) {
		<-p.done // what it printed comes to its end
		shown.Wait()
	}
	hide()
	shown.Wait()
	m.proc = p
	if p == nil {
		return cmp.Or(err, context.Canceled)
	}
	return err
}

// show copies what the member's processes print to out, up to the end of the first that is no more replaced by
// the engine for nothing.
func (m *member) show(ctx context.Context, out io.Writer) {
	for p := m.newer(ctx, nil); p != nil; p = m.newer(ctx, p) {
		stream, err := m.in.home.rt.Engine.Logs(ctx, p.place, true)
		if err == nil {
			io.Copy(out, stream)
			stream.Close()
		}
		select {
		case <-p.done:
			if err != nil && len(p.after.Last) > 0 { // it was over too soon
				io.WriteString(out, strings.Join(p.after.Last, "\n")+"\n")
			}
			if !p.moved {
				return
			}
		case <-ctx.Done():
			return
		}
	}
}

// stop ends all its processes for good. It blocks for up to grace.
func (i *instance) stop(grace time.Duration) {
	for _, m := range i.members {
		i.home.units.drop(m, grace)
	}
	for _, m := range i.members {
		<-m.gone
	}
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
