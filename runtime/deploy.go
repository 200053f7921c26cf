package runtime

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"paas/builder/cmdline"
	"paas/durable"
	"paas/engine"
	"paas/formation"
	"paas/say"
	"paas/volume"
)

// deploy is a release on its way to being live.
type deploy struct {
	loop     *appLoop
	n        int
	ctx      context.Context    // ends when the server stops
	cancel   context.CancelFunc // stops building and booting
	finished chan struct{}      // closed when the build and the boot are over

	// Set before finished closes.
	instance *instance
	settings volume.Wanted // what was wanted when it was booted
	phases   bool          // a command of the release phase has run to its end

	// For the app's goroutine.
	switched bool            // it has the traffic
	since    time.Time       // when it got the traffic
	slept    volume.Asleep   // whether the release before was asleep
	drained  <-chan struct{} // closes when the release that lost the traffic has answered
	proof    time.Duration   // how long it has to prove itself
	proves   bool            // it counts as proved after that time
	watched  bool            // the time has begun
	timer    *time.Timer     // begins the time at the latest, then ends it
	due      bool            // the time is over
	fallen   *member         // a web process that exited in that time: the traffic went back
	ready    bool            // it waits for its commit
}

// startDeploy builds and boots release n on another goroutine.
func (a *appLoop) startDeploy(ctx context.Context, n int) {
	d := &deploy{loop: a, n: n, ctx: ctx, finished: make(chan struct{})}
	ctx, d.cancel = context.WithCancel(ctx)
	a.deploying = d
	go func() {
		defer d.cancel()
		instance, err := d.prepare(ctx)
		d.instance = instance
		close(d.finished)
		a.post(func() { d.verdict(err) })
	}()
}

// step reacts to what the volume says about the release.
func (d *deploy) step() {
	a := d.loop
	status, cancelled := a.app.Cancelled(d.n)
	switch {
	case !d.switched && cancelled:
		d.cancel() // prepare ends now and posts the verdict
	case !d.switched || d.fallen != nil: // prepare, or the end of the process, is posted
	case cancelled:
		d.takeBack(status)
	case a.abandoned(d.n):
		d.takeBack(a.app.CancelledFor(d.n, cutOff))
	case d.instance.breaks(): // how it ended will be posted
	case d.ready && a.app.Committed(d.n):
		d.accept()
	case d.due && !d.ready:
		d.proved()
	case !d.due && d.instance.started(a.settings):
		d.watch()
	}
}

// verdict goes on from what prepare returned.
func (d *deploy) verdict(err error) {
	a := d.loop
	status, cancelled := a.app.Cancelled(d.n)
	if err == nil && !cancelled && a.abandoned(d.n) {
		status, cancelled = a.app.CancelledFor(d.n, cutOff), true
	}
	switch {
	case cancelled:
		d.takeBack(status)
	case errors.Is(err, context.Canceled):
		a.deploying = nil // the server stops: the next one decides
	case err != nil:
		d.takeBack(volume.Status{State: volume.Failed, Reason: err.Error(), Hint: hintIn(err), Remedy: volume.RemedyOf(err)})
	default:
		d.takeTraffic()
	}
	a.poke()
}

// fault is an error with a hint about what to do.
type fault struct {
	error
	hint string
}

func (f fault) Unwrap() error { return f.error }

// hintIn returns the hint in err, or "".
func hintIn(err error) string {
	if f, ok := errors.AsType[fault](err); ok {
		return f.hint
	}
	exit, _ := errors.AsType[engine.Exit](err)
	return exit.Hint
}

// prepare is the first phase: build, release phase, boot and health checks. The release's log shows
// all of it.
func (d *deploy) prepare(ctx context.Context) (*instance, error) {
	app := d.loop.app
	r, err := app.Release(d.n)
	if err != nil {
		return nil, err
	}
	file, err := os.OpenFile(app.ReleaseLog(d.n), os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	d.loop.rt.building.RLock() // until the build is recorded, with its toolchains
	defer d.loop.rt.building.RUnlock()
	if err := d.precheck(r); err != nil {
		return nil, err
	}
	built, keep, err := d.build(ctx, r, file)
	if err != nil {
		return nil, fmt.Errorf("build: %w", err)
	}
	i := newInstance(d.loop, d.n)
	i.release, i.built = r, built
	if err = d.bringUp(ctx, i, file); err == nil {
		err = i.exited()
	}
	if kept := keep(); err == nil && kept != nil {
		err = fmt.Errorf("build: %w", kept)
	}
	if err != nil {
		i.stop(bootGrace)
		return nil, i.explain(err)
	}
	return i, nil
}

// explain adds to the error of a program that was not found, or cannot be run, what to do.
func (i *instance) explain(err error) error {
	status := exitStatus(err)
	if status != 126 && status != 127 || hintIn(err) != "" {
		return err
	}
	if script := i.notExecutable(); status == 126 && script != "" {
		return fault{err, "make it executable: git update-index --chmod=+x " + script}
	}
	made, readErr := os.ReadDir(filepath.Join(i.tree, programs))
	if readErr != nil || len(made) == 0 {
		return err
	}
	var names []string
	for _, program := range made {
		names = append(names, program.Name())
	}
	return fault{err, "the build made " + strings.Join(names, ", ") + ": run bin/" + names[0]}
}

// notExecutable returns the first file that a line of the Procfile names and that is not executable,
// or "".
func (i *instance) notExecutable() string {
	for _, t := range slices.Sorted(maps.Keys(i.built.Processes)) {
		words := cmdline.Words(i.built.Processes[t])
		if len(words) == 0 {
			continue
		}
		info, err := os.Lstat(filepath.Join(i.tree, words[0]))
		if err == nil && info.Mode().IsRegular() && info.Mode()&0o111 == 0 {
			return words[0]
		}
	}
	return ""
}

// build makes the release's build, unless an earlier release has made it. keep waits until the
// build is on disk, safe from a power cut, and records it as complete. The boot need not wait for
// that.
func (d *deploy) build(
	ctx context.Context, r volume.Release, file io.Writer,
) (built volume.Built, keep func() error, err error) {
	a := d.loop
	built, err = a.app.Built(r.Build)
	if err == nil || len(built.Toolchains) > 0 { // one may be missing
		return built, func() error { return nil }, err
	}
	a.setStatus(d.n, volume.Status{State: volume.Building})
	if _, err := a.app.ReleaseTree(r); err != nil { // it says what is wrong
		return built, nil, err
	}
	out := say.NewBounded(file, 4<<20, 16<<10)
	job := engine.BuildJob{
		Image:  engine.Image{App: a.app.Name, Build: r.Build, Folder: r.Settings.BuildDir},
		Config: r.Settings.Config, Buildpack: r.Settings.Buildpack, Out: out,
	}
	if b, err := a.app.Build(r.Build); err == nil && b.ClearCache {
		job.ClearCache = true
		if job.InUse, err = inUse(a.app); err != nil {
			return built, nil, err
		}
		say.Step(out, "Emptying the build cache of %s", a.app.Name)
	}
	built, err = a.rt.Engine.Build(ctx, job)
	out.Close()
	if err != nil {
		return built, nil, err
	}
	flushed := make(chan error, 1)
	go func() { flushed <- durable.Flush(a.app.BuildTree(r.Build)) }()
	return built, func() error {
		if err := <-flushed; err != nil {
			return err
		}
		return a.app.SetBuilt(r.Build, built)
	}, nil
}

// inUse lists the paths in the environments of the app's finished builds. Some are in its cache.
func inUse(app volume.App) (paths []string, err error) {
	builds, err := app.Builds()
	for _, id := range builds {
		built, err := app.Built(id)
		if err != nil { // not finished: nothing runs in it
			continue
		}
		for _, value := range built.Env {
			value = strings.ReplaceAll(value, app.Cache(), engine.Cache)
			paths = append(paths, strings.Split(value, ":")...)
		}
	}
	return paths, err
}

// bringUp runs the release phase and boots the release, until it may have traffic.
func (d *deploy) bringUp(ctx context.Context, i *instance, file io.Writer) error {
	if err := i.find(); err != nil {
		return err
	}
	if err := i.sayCron(file); err != nil {
		return err
	}
	if err := i.sayStorage(file); err != nil {
		return err
	}
	settings, err := d.wanted(i.release)
	if err != nil {
		return err
	}
	d.settings = settings
	if len(i.wanted(settings)) == 0 {
		if err := i.nothingRuns(settings); err != nil {
			return fmt.Errorf("boot: %w", err)
		}
	}
	if err := d.releasePhase(ctx, i, file); err != nil {
		return err
	}
	if err := d.boot(ctx, i, settings, file); err != nil {
		return fmt.Errorf("boot: %w", err)
	}
	return d.postdeploy(ctx, i, file)
}

// wanted returns what should run of the app.
func (d *deploy) wanted(r volume.Release) (volume.Wanted, error) {
	wanted, err := d.loop.app.Wanted()
	if volume.IsDamage(err) { // a damaged file must not keep a rollback from starting
		return r.Wanted, nil
	}
	return wanted, err
}

// nothingRuns returns an error for a release of which no process would start, unless that is
// wanted.
func (i *instance) nothingRuns(s volume.Wanted) error {
	types := processTypes(i.built)
	entries, err := i.cron()
	if err != nil || slices.Contains(types, formation.Web) ||
		len(entries) > 0 || len(s.Formation) > 0 {
		return err
	}
	hint := "add a line like `web: node server.js` to the Procfile"
	var other volume.Remedy
	isWeb := func(t string) bool { return strings.EqualFold(t, formation.Web) }
	switch at := slices.IndexFunc(types, isWeb); {
	case at >= 0:
		hint = fmt.Sprintf("the Procfile's line %s: is another type; write web: in small letters",
			types[at])
	case len(types) > 0:
		slices.Sort(types)
		other = volume.Remedy{Do: volume.RunOther, App: i.loop.app.Name, With: types[0]}
	}
	return fault{&volume.Problem{Err: errors.New("no web process"), Remedy: other}, hint}
}

// boot starts the release beside the live one and waits until it is healthy. The pusher sees what
// it prints until then.
func (d *deploy) boot(ctx context.Context, i *instance, s volume.Wanted, file io.Writer) error {
	d.loop.setStatus(d.n, volume.Status{State: volume.Booting})
	for _, line := range i.lines(s) {
		say.Step(file, "Booting v%d: %s", d.n, line)
	}
	began := time.Now()
	bounded := say.NewBounded(file, 64<<10, 16<<10)
	defer bounded.Close()
	if err := i.boot(ctx, s, bounded); err != nil {
		return err
	}
	if err := i.exited(); err != nil { // one may have exited while another booted
		return err
	}
	if len(i.members) > 0 {
		say.Detail(file, "healthy after %d ms", time.Since(began).Milliseconds())
	}
	return nil
}

// lines describes what is booted: each command line, and the number of processes if there are
// several.
func (i *instance) lines(s volume.Wanted) (lines []string) {
	counts := map[string]int{}
	for _, p := range i.early(s) {
		counts[p.Type]++
	}
	for _, t := range slices.Sorted(maps.Keys(counts)) {
		line := cmp.Or(i.built.Processes[t], "static files")
		if len(counts) > 1 {
			line = t + ": " + line
		}
		if n := counts[t]; n > 1 {
			line += fmt.Sprintf(" (%d processes)", n)
		}
		lines = append(lines, line)
	}
	return lines
}
