package runtime

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
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

// instance is a release that runs, with the processes of its formation.
type instance struct {
	loop    *appLoop
	n       int
	release volume.Release
	built   volume.Built
	tree    string // folder of its build where its processes run, on this server
	file    appjson.File
	image   engine.Image

	members map[place]*member // on the app's goroutine once booted
	told    volume.Wanted     // what the engine was last told for all its units

	pages   map[string]string // the release's own error pages
	pagesOf string            // the folder of the tree that they are from; empty: not read yet
}

// newInstance returns the instance of a release of which only the number is known; load reads the
// rest.
func newInstance(a *appLoop, n int) *instance {
	return &instance{loop: a, n: n, members: map[place]*member{}}
}

// load reads the release from the volume. Calling it again is harmless.
func (i *instance) load() error {
	if i.release.N != 0 {
		return nil
	}
	r, err := i.loop.app.Release(i.n)
	if err != nil {
		return err
	}
	if i.built, err = i.loop.app.BuiltOf(r); err != nil {
		return err
	}
	i.release = r
	if err := i.find(); err != nil {
		i.release = volume.Release{}
		return err
	}
	return nil
}

// find finds the release's files and reads its app.json.
func (i *instance) find() (err error) {
	i.tree, i.file, i.image, err = filesOf(i.loop.app, i.release)
	return err
}

// filesOf returns the folder where the processes of a release run, its app.json, and what the
// engine makes the processes of.
func filesOf(app volume.App, r volume.Release) (
	tree string, file appjson.File, image engine.Image, err error,
) {
	if tree, err = app.ReleaseTree(r); err != nil {
		return tree, file, image, err
	}
	if file, err = appjson.Read(tree); err != nil {
		return tree, file, image, err
	}
	image = engine.Image{
		App: app.Name, Build: r.Build, Folder: r.Settings.BuildDir, Storage: r.Settings.Storage,
	}
	if r.Settings.Mode == volume.InPlace { // its tree stays, with all that the app writes there
		return tree, file, image, nil
	}
	for _, folder := range file.Storage {
		if image.Storage, err = volume.AddStorage(image.Storage, folder); err != nil {
			return tree, file, image, fmt.Errorf("app.json: storage: %w", err)
		}
	}
	return tree, file, image, nil
}

// unit returns the unit of that name.
func (i *instance) unit(name engine.UnitName, w volume.Wanted) engine.Unit {
	a := i.loop
	listens := name.Type == formation.Web
	return engine.Unit{
		Name: name, Image: i.image, Argv: cmdline.Arguments(i.built.Processes[name.Type]),
		Env:    a.rt.env(a.app, i.release, i.built, i.tree, listens),
		Limits: w.LimitsOf(name.Type), Listens: listens,
		Grace: cmp.Or(w.Grace, a.rt.grace()), Stable: i.stable(name.Type),
	}
}

// stableAfter is how long a process must have been healthy for its end not to count as one more
// crash in a row.
const stableAfter = time.Minute

// stable is how long a process of the type runs at the longest until it has been healthy for
// stableAfter.
func (i *instance) stable(processType string) time.Duration {
	stable := stableAfter
	if processType == formation.Web {
		stable += cmp.Or(i.loop.rt.Boot, time.Minute)
	}
	return stable + i.uptime(processType)
}

// job returns a command that runs once with the files and environment of the release.
func (i *instance) job(processType string, index int, argv []string, w volume.Wanted) engine.Job {
	a := i.loop
	return engine.Job{
		App: a.app.Name, Release: i.n, Type: processType, Index: index, Image: i.image, Argv: argv,
		Env:    a.rt.env(a.app, i.release, i.built, i.tree, false),
		Limits: w.LimitsOf(processType),
	}
}

// wanted lists the processes that should run.
func (i *instance) wanted(s volume.Wanted) []place {
	if s.Stopped == i.n {
		return nil
	}
	return places(processTypes(i.built), s.Formation, i.file.Formation)
}

// boot starts the processes that must be healthy before the release gets traffic, and waits until
// they are. Until then out shows what they print.
func (i *instance) boot(ctx context.Context, s volume.Wanted, out io.Writer) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	places := i.early(s)
	for _, p := range places {
		i.members[p] = newMember(i, p, nameIn(places, p), s)
	}
	i.loop.units.want(s, i.sorted()...)
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
			cancel(errOther) // there is no point in waiting for the others
		}
	}
	return first
}

// early lists the processes that [instance.boot] starts.
func (i *instance) early(s volume.Wanted) []place {
	return slices.DeleteFunc(i.wanted(s), func(p place) bool { return !bootsEarly(p, i.file) })
}

var errOther = errors.New("another process of the release has failed")

// boot waits until the member, which the engine runs by now, is healthy. Until then out shows what
// its processes print.
func (m *member) boot(ctx context.Context, out io.Writer) error {
	showing, hide := context.WithCancel(ctx)
	var shown sync.WaitGroup
	shown.Go(func() { m.show(showing, out) })
	p, err := m.healthy(ctx, nil)
	if p != nil && isClosed(p.exited) {
		<-p.done // else the end of its output would be missing
		shown.Wait()
	}
	hide()
	shown.Wait()
	if p != nil && isClosed(p.done) {
		err = portTaken(err, p.after.Last)
	}
	if err != nil { // before the engine starts it again: the rest of the deploy may take a while to end
		m.in.loop.units.drop(m, bootGrace)
	}
	m.proc = p
	if p == nil {
		return cmp.Or(err, context.Canceled)
	}
	return err
}

var (
	takenLine = regexp.MustCompile(`EADDRINUSE|[Aa]ddress (is )?(already )?in use|` +
		`[Pp]ort \d+ (is|was) (already )?in use`)
	portNumber = regexp.MustCompile(`(?:[Pp]ort |:)(\d{2,5})\b`)
)

// portTaken adds to the error of a process that has ended what to do if its last lines say that its
// port is taken. The engine makes sure that $PORT is free.
func portTaken(err error, last []string) error {
	at := slices.IndexFunc(last, takenLine.MatchString)
	if err == nil || at < 0 {
		return err
	}
	port := "the port that it asks for"
	if found := portNumber.FindAllStringSubmatch(last[at], -1); len(found) > 0 {
		port = "port " + found[len(found)-1][1] // a time may precede it
	}
	return fault{err, port + " is taken: use PORT, the port in the environment"}
}

// bootGrace is the time between SIGTERM and SIGKILL for a release whose boot has failed.
const bootGrace = time.Second

// show copies to out what the member's processes print, until ctx ends or one of them has failed.
func (m *member) show(ctx context.Context, out io.Writer) {
	for p := m.newer(ctx, nil); p != nil; p = m.newer(ctx, p) {
		stream, err := m.in.loop.rt.Engine.Logs(ctx, p.place, true)
		if err == nil {
			io.Copy(out, stream)
			stream.Close()
		}
		select {
		case <-p.done:
			if err != nil && len(p.after.Last) > 0 { // it had ended before anybody could follow it
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

// stop ends all processes of the instance. It blocks until they have ended, for about grace at
// most.
func (i *instance) stop(grace time.Duration) {
	for _, m := range i.members {
		i.loop.units.drop(m, grace)
	}
	for _, m := range i.members {
		<-m.gone
	}
}

// sorted lists the members, web first.
func (i *instance) sorted() []*member {
	var all []*member
	for _, m := range i.members {
		all = append(all, m)
	}
	slices.SortFunc(all, func(a, b *member) int { return comparePlaces(a.place, b.place) })
	return all
}
