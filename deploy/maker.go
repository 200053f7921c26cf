package deploy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"paas/git"
	"paas/say"
	"paas/volume"
)

// Maker takes releases of one app through the two phases, for the receiver, the sidecar and the
// commands. The caller holds the app's turn from before Publish until Finish or TakeBack has
// returned.
type Maker struct {
	App  volume.App
	Mode volume.Mode             // of apps that set none; for Publish
	URL  func(app string) string // an app's address, as people type it; nil: none is shown
	Out  io.Writer               // what the person who deploys reads

	Inspector *git.Inspector // for Inspect and Publish
	Modules   Modules        // for Publish
	DiskSpace DiskSpace      // for Inspect
	Spares    *Spares        // for Publish and Finish; nil: all files are written each time

	Watching func() // called once a release has the traffic and begins to prove itself; may be nil

	breakpoint func(where string) // tests end the process here
}

// GoLive is how long a committed release may take to go live.
const GoLive = time.Minute

const (
	noRuntime = 2 * time.Minute  // how long a release waits for a runtime before it is taken back
	unseen    = 10 * time.Second // how long a release may be queued before Out says so
)

// Publish makes the commit that b describes, read from objects, the app's next release: r with the
// commit and the app's current settings. It writes the files of the commit into a build; in watch
// mode it changes worktree/ to the commit, and in mode worktree Finish does. The number of the
// returned release is 0 if nothing was published. The error is a [*git.Refused] if a submodule
// cannot be had, unless the network is the reason.
func (m Maker) Publish(
	ctx context.Context, b volume.Build, r volume.Release, objects *git.Objects,
) (volume.Release, error) {
	settings, err := m.App.Settings()
	if err != nil {
		return volume.Release{}, err
	}
	r.Commit, r.Branch, r.Subject, r.Settings = b.Commit, b.Branch, b.Subject, settings
	switch settings.ModeOr(m.Mode) {
	case volume.OnlyFiles:
		return publishFiles(m.App, r)
	case volume.InPlace:
		r.Settings.Mode = volume.InPlace
		b, err = m.change(ctx, b, objects)
	default:
		b, err = m.checkout(ctx, b, objects)
	}
	if err != nil {
		m.Spares.want(m.App) // it may have used one
		return volume.Release{}, err
	}
	r.Build = b.ID
	if r, err = m.App.Publish(r); err != nil && r.N == 0 { // nobody else knows of the build
		err = errors.Join(err, m.App.RemoveBuild(b.ID))
	}
	return r, err
}

// Await is the rest of the first phase: it copies the log of release r to Out until the runtime has
// decided on it, and shows when the release gets the traffic and for how long it must prove itself.
// The returned state is Ready, or one that is over. If ctx ends, or no runtime runs for two
// minutes, the release is taken back, and the error says why.
func (m Maker) Await(ctx context.Context, r volume.Release) (volume.Status, error) {
	s, err := m.await(ctx, r)
	if err != nil || s.State != volume.Ready { // it has used a spare
		m.Spares.want(m.App)
	}
	if err == nil {
		if s.State != volume.Ready {
			m.restore(ctx)
		}
		return s, nil
	}
	why := say.Plain(err.Error(), 200)
	if ctx.Err() != nil {
		why = r.By + " left"
	}
	return s, errors.Join(err, m.takeBack(r.N, why, volume.RemedyOf(err)))
}

// TakeBack records that release n, which is not committed, is not wanted any more, and why. The
// runtime then takes it back; TakeBack does not wait for that.
func (m Maker) TakeBack(n int, why string) error { return m.takeBack(n, why, volume.Remedy{}) }

func (m Maker) takeBack(n int, why string, remedy volume.Remedy) error {
	if err := m.App.Cancel(n, why, remedy); err != nil {
		return err
	}
	r, err := m.App.Release(n)
	if err != nil || !r.OnlyFiles() {
		return err
	}
	// No runtime does so.
	s, cancelled := m.App.Cancelled(n)
	if !cancelled {
		return nil
	}
	return m.App.SetStatus(n, s)
}

// Commit begins the second phase: it records that release n, which is ready, is accepted. The
// runtime then makes it live.
func (m Maker) Commit(n int) error { return m.App.Commit(n) }

// Finish is the rest of the second phase, after Commit: it waits until release r is live or over.
// It returns an error if that takes longer than [GoLive]. In mode worktree it writes the commit, read
// from objects, into the app's worktree/ instead; if ctx ends meanwhile, Finish can be called
// again. Otherwise objects may be nil. A release that failed is not an error: the status tells.
func (m Maker) Finish(
	ctx context.Context, r volume.Release, objects *git.Objects,
) (volume.Status, error) {
	if r.OnlyFiles() {
		if err := m.place(ctx, r, objects); err != nil {
			return volume.Status{}, err
		}
		return m.App.Status(r.N)
	}
	// It is committed, so it goes on if the caller leaves.
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), GoLive)
	defer stop()
	s, err := m.App.AwaitOver(ctx, r.N)
	m.Spares.want(m.App)
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf(
			"%s %s is committed, and not live after %s: it is %s", m.App.Name, r, GoLive, s.State,
		)
	}
	return s, err
}

// Release takes r, which is published, through the rest of both phases. If ctx ends during the
// first phase, the release is taken back and the error is that of ctx; later it changes nothing. A
// release that failed is not an error: the status tells.
func (m Maker) Release(
	ctx context.Context, r volume.Release, objects *git.Objects,
) (volume.Status, error) {
	s, err := m.Await(ctx, r)
	if err != nil || s.State != volume.Ready {
		return s, err
	}
	if err := m.Commit(r.N); err != nil {
		return s, errors.Join(err, m.TakeBack(r.N, say.Plain(err.Error(), 200)))
	}
	return m.Finish(ctx, r, objects)
}

// LiveLine is the line that says that r is live, and at which address or in which folder.
func (m Maker) LiveLine(r volume.Release) string {
	return fmt.Sprintf("%s %s is live%s", m.App.Name, r, m.at(r))
}

// at is ": " and the address at which r answers, or ", in " and its folder; empty if it has
// neither.
func (m Maker) at(r volume.Release) string {
	if r.OnlyFiles() {
		return ", in " + m.App.Worktree()
	}
	if address := m.Address(r); address != "" {
		return ": " + address
	}
	return ""
}

// Address returns the address at which r answers visitors, as people type it. It is empty if r has
// no web process and no static files, is in mode worktree, or m has no URL.
func (m Maker) Address(r volume.Release) string {
	if m.URL == nil || r.OnlyFiles() {
		return ""
	}
	built, err := m.App.Built(r.Build)
	if _, web := built.Processes["web"]; err == nil && (web || built.Static != "") {
		return m.URL(m.App.Name)
	}
	return ""
}
