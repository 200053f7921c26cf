package sidecar

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"

	"paas/deploy"
	"paas/git"
	"paas/remote"
	"paas/say"
	"paas/volume"
)

// attempt is one try to make of a commit what runs. It is used up by its run.
type attempt struct {
	*Sidecar
	subject
	by      string // who is named in the release
	who     string // who is said to have the turn
	forced  bool   // also a commit that had its verdict
	patient bool   // somebody else's sync is waited for
	once    bool   // a runtime is not waited for
	leave   func() // gives up its place among the syncs, of which it needs none to wait; nil: it has none
	out     io.Writer

	warned bool // of what would keep the commit from running
}

// deed is what an attempt came to.
type deed string

const (
	nothing deed = ""        // the commit had its verdict before, or is live
	live    deed = "live"    // it is a release, and that is live
	failed  deed = "failed"  // it is a release, and that is not
	refused deed = "refused" // it cannot be a release
)

// outcome is what is so after an attempt that came to an end.
type outcome struct {
	looked  volume.SourceStatus // as on the volume
	deed    deed
	release volume.Release // live or failed; of nothing: the live one, where it is of that commit
	status  volume.Status  // of a failed one
}

// errBusy says that somebody else is syncing the app.
var errBusy = errors.New("somebody else is syncing it")

// run brings the app to head, or to where the branch has come since. An error says that there is no
// verdict: it is to be tried again.
func (a attempt) run(ctx context.Context, head remote.Head) (outcome, error) {
	unlock, err := a.lock(ctx)
	if err != nil {
		return outcome{}, err
	}
	defer unlock()
	if err := a.current(); err != nil {
		return outcome{}, err
	}
	known, err := a.app.SourceStatus()
	if err != nil {
		return outcome{}, err
	}
	known.Source = a.source.ID
	if done, ok, err := a.unneeded(known, head.Commit); ok || err != nil {
		return done, err
	}
	a.reached("locked")
	if err := a.DiskSpace.Check(a.Volume, 0, 0); err != nil {
		return outcome{}, err
	}
	commit, err := a.Remote.Fetch(ctx, a.remote, head.Branch, a.app.SourceRepo())
	if errors.Is(err, remote.ErrTooLarge) || errors.Is(err, remote.ErrBroken) { // else it is fetched again and again, up to the limit
		return a.verdict(known, outcome{deed: refused, looked: volume.SourceStatus{Commit: head.Commit, Failed: oneLine(err)}})
	}
	if err != nil {
		return outcome{}, deploy.DiskFull(err)
	}
	head.Commit = commit
	a.reached("fetched")
	objects := git.Repo{Dir: a.app.SourceRepo()}.Objects()
	defer objects.Close()
	done, err := a.deploy(ctx, known, head, objects)
	return done, deploy.DiskFull(err)
}

func (a *attempt) lock(ctx context.Context) (unlock func(), err error) {
	unlock, err = a.app.TrySourceLock()
	switch {
	case unlock != nil || err != nil:
		return unlock, err
	case !a.patient:
		return nil, errBusy
	}
	say.Step(a.out, "%s", deploy.Waiting("a sync under way"))
	return a.app.SourceLock(ctx)
}

// unneeded is the outcome where nothing is to be done about commit: it has had its verdict, or is
// live already. Without the latter a process that died between a verdict and noting it, or a
// source that was set to where the app came from, would deploy the same once more.
func (a *attempt) unneeded(known volume.SourceStatus, commit string) (done outcome, ok bool, err error) {
	if !a.forced && commit == known.Commit {
		done, err = a.settle(known, outcome{looked: known})
		return done, true, err
	}
	n := a.app.Live()
	if n == 0 {
		return outcome{}, false, nil
	}
	r, err := a.app.Release(n)
	if err != nil {
		return outcome{}, false, err
	}
	s, err := a.app.Settings()
	if err != nil || r.Commit != commit || a.inPlace(s) != a.inPlace(r.Settings) {
		return outcome{}, false, err
	}
	done, err = a.settle(known, outcome{release: r, looked: volume.SourceStatus{Source: known.Source, Commit: commit, Release: n}})
	return done, true, err
}

func (a *attempt) inPlace(s volume.Settings) bool {
	return s.InPlace(a.Mode)
}

// settle notes on the volume what is so now, if that is not there already.
func (a *attempt) settle(known volume.SourceStatus, done outcome) (outcome, error) {
	done.looked.Error = ""
	known.Since, known.At = done.looked.Since, done.looked.At
	if known == done.looked {
		a.app.TouchSourceStatus()
		return done, nil
	}
	return done, a.app.SetSourceStatus(done.looked)
}

// deploy takes the fetched commit through its two steps.
func (a *attempt) deploy(ctx context.Context, known volume.SourceStatus, head remote.Head, objects *git.Objects) (outcome, error) {
	b, err := a.inspect(ctx, objects, head)
	var bad *git.Refused
	if errors.As(err, &bad) {
		return a.verdict(known, outcome{deed: refused, looked: volume.SourceStatus{Commit: head.Commit, Failed: ofSource(bad)}})
	}
	if err != nil {
		return outcome{}, err
	}
	done, err := deploy.Turn(ctx, a.app, a.who, func(holder string) {
		say.Step(a.out, "%s", deploy.Waiting(holder))
	})
	if err != nil {
		return outcome{}, err
	}
	defer done()
	a.reached("turn")
	if err := a.current(); err != nil { // else a commit of one source is deployed after another was set
		return outcome{}, err
	}
	if done, ok, err := a.unneeded(known, head.Commit); ok || err != nil {
		return done, err
	}
	r, status, err := a.release(ctx, b, objects)
	a.reached("decided")
	if err != nil {
		return outcome{}, err
	}
	now := outcome{deed: live, release: r, status: status, looked: volume.SourceStatus{Commit: b.Commit, Release: r.N}}
	switch status.State {
	case volume.Live, volume.Retired:
	case volume.Failed:
		now.deed = failed
		now.looked.Failed = say.Plain(cmp.Or(status.Reason, "failed"), maxLine)
		if a.warned {
			now.looked.Failed += "; it has scripts with Windows line endings, which cannot run"
		}
	default: // somebody took it back
		return outcome{}, fmt.Errorf("%s: %s: %s", r, status.State, status.Reason)
	}
	return a.verdict(known, now)
}

// record writes a release, as it ended, into the audit log.
func (a *attempt) record(done outcome) {
	if done.release.N == 0 {
		return
	}
	note := fmt.Sprintf("%s %s %s", done.release, git.Short(done.looked.Commit), cmp.Or(done.looked.Failed, string(done.deed)))
	if err := a.Volume.Record(volume.RoleSidecar, volume.Event{By: a.by, Did: "sync", App: a.app.Name, Note: note}); err != nil {
		a.Log.Error("sync not recorded", "app", a.app.Name, "err", err)
	}
}

// verdict notes what became of a commit.
func (a *attempt) verdict(known volume.SourceStatus, done outcome) (outcome, error) {
	done.looked.Source = a.source.ID
	a.Log.Info("synced", "app", a.app.Name, "commit", git.Short(done.looked.Commit), "release", done.looked.Release,
		"is", string(done.deed), "why", done.looked.Failed)
	a.record(done)
	return a.settle(known, done)
}
