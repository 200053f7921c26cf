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

// attempt is one try to deploy a commit. Run it once.
type attempt struct {
	*Sidecar
	subject
	by      string // author of the release
	who     string // who has the turn, in words for others
	forced  bool   // also tries a commit that was decided on before
	patient bool   // waits for a sync of somebody else
	once    bool   // does not wait for a runtime
	// leave gives up the place among the syncs, which waiting does not need; nil: it has none.
	leave func()
	out   io.Writer

	warned bool // of scripts that cannot run
}

// result is how an attempt ended.
type result string

const (
	nothing result = ""        // the commit was decided on before, or is live
	live    result = "live"    // its release is live
	failed  result = "failed"  // its release failed
	refused result = "refused" // no release can be made of it
)

// outcome is what an attempt found or did.
type outcome struct {
	source volume.SourceStatus // as on the volume
	result result
	// release is live or failed. If nothing was done, it is the live one, if that is of the commit.
	release volume.Release
	status  volume.Status // if it failed
}

// errBusy says that somebody else is syncing the app.
var errBusy = errors.New("somebody else is syncing it")

// run deploys head, or the commit that the branch points at by now. With an error nothing was
// decided, and the caller tries again.
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
	ref := remote.Ref{Branch: head.Name} // what it points at by now
	if a.source.Tag != "" || a.source.Commit != "" {
		ref = remote.Ref{Commit: head.Commit}
	}
	commit, err := a.Remote.Fetch(ctx, a.remote, ref, a.app.SourceRepo())
	// else it would be fetched again and again
	if errors.Is(err, remote.ErrTooLarge) || errors.Is(err, remote.ErrBroken) {
		return a.refuse(known, head.Commit, oneLine(err))
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

// unneeded returns the outcome if nothing has to be done about commit, because it was decided on
// before or is live. The latter matters after a process died before it recorded its decision, or
// after the source was set to the repository that the app came from: else the same commit would be
// deployed again.
func (a *attempt) unneeded(
	known volume.SourceStatus, commit string,
) (done outcome, ok bool, err error) {
	if !a.forced && commit == known.Commit {
		done, err = a.save(known, outcome{source: known})
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
	if err != nil || r.Commit != commit || s.ModeOr(a.Mode) != r.Settings.ModeOr(a.Mode) {
		return outcome{}, false, err
	}
	done, err = a.save(known, outcome{
		release: r,
		source:  volume.SourceStatus{Source: known.Source, Commit: commit, Release: n},
	})
	return done, true, err
}

// save records the outcome on the volume, unless it is there already.
func (a *attempt) save(known volume.SourceStatus, done outcome) (outcome, error) {
	done.source.Error = ""
	known.Since, known.At = done.source.Since, done.source.At
	if known == done.source {
		a.app.TouchSourceStatus()
		return done, nil
	}
	return done, a.app.SetSourceStatus(done.source)
}

// deploy takes the fetched commit through the two phases.
func (a *attempt) deploy(
	ctx context.Context, known volume.SourceStatus, head remote.Head, objects *git.Objects,
) (outcome, error) {
	b, err := a.inspect(ctx, objects, head)
	if err != nil {
		return a.notDeployed(known, head, err)
	}
	done, err := deploy.Turn(ctx, a.app, a.who, func(holder string) {
		say.Step(a.out, "%s", deploy.Waiting(holder))
	})
	if err != nil {
		return outcome{}, err
	}
	defer done()
	a.reached("turn")
	// else a commit of the old source would be deployed after another was set
	if err := a.current(); err != nil {
		return outcome{}, err
	}
	if done, ok, err := a.unneeded(known, head.Commit); ok || err != nil {
		return done, err
	}
	r, status, err := a.release(ctx, b, objects)
	a.reached("decided")
	if err != nil {
		return a.notDeployed(known, head, err)
	}
	now := outcome{
		result:  live,
		release: r,
		status:  status,
		source:  volume.SourceStatus{Commit: b.Commit, Release: r.N},
	}
	switch status.State {
	case volume.Live, volume.Retired:
	case volume.Failed:
		now.result = failed
		now.source.Failed = a.withAdvice(
			say.OneLine(cmp.Or(status.Reason, "failed")), status.Remedy)
		if a.warned {
			now.source.Failed += "; it has scripts with Windows line endings, which cannot run"
		}
	default: // it was taken back
		return outcome{}, fmt.Errorf("%s: %s: %s", r, status.State, status.Reason)
	}
	return a.decided(known, now)
}

// notDeployed records that head cannot be deployed, if err is a [*git.Refused]. Otherwise nothing was
// decided.
func (a *attempt) notDeployed(
	known volume.SourceStatus, head remote.Head, err error,
) (outcome, error) {
	var bad *git.Refused
	if !errors.As(err, &bad) {
		return outcome{}, err
	}
	return a.refuse(known, head.Commit, ofSource(bad))
}

// refuse records that no release can be made of a commit, and why.
func (a *attempt) refuse(known volume.SourceStatus, commit, why string) (outcome, error) {
	return a.decided(known, outcome{
		result: refused, source: volume.SourceStatus{Commit: commit, Failed: why},
	})
}

// record writes how a release ended into the audit log.
func (a *attempt) record(done outcome) {
	if done.release.N == 0 {
		return
	}
	note := fmt.Sprintf(
		"%s %s %s", done.release, git.Short(done.source.Commit),
		cmp.Or(done.source.Failed, string(done.result)),
	)
	if err := a.Volume.Record(
		volume.RoleSidecar, volume.Event{By: a.by, Did: "sync", App: a.app.Name, Note: note},
	); err != nil {
		a.Log.Error("sync not recorded", "app", a.app.Name, "err", err)
	}
}

// decided records what was decided on a commit.
func (a *attempt) decided(known volume.SourceStatus, done outcome) (outcome, error) {
	done.source.Source = a.source.ID
	a.Log.Info(
		"synced", "app", a.app.Name, "commit", git.Short(done.source.Commit), "release",
		done.source.Release, "result", string(done.result), "why", done.source.Failed,
	)
	a.record(done)
	return a.save(known, done)
}
