package receiver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"paas/deploy"
	"paas/git"
	"paas/say"
	"paas/volume"
)

// refused is why a push is refused, in lines for the pusher.
type refused []string

func (r refused) Error() string { return strings.Join(r, "\n") }

// reasons are the lines of err for the pusher.
func reasons(err error) []string {
	var lines refused
	if errors.As(err, &lines) {
		return lines
	}
	return []string{err.Error()}
}

// preReceive is the first phase of a push. Without an error the release has proved itself, and git
// moves the branch.
func (r *Receiver) preReceive(
	ctx context.Context, s *session, c call, say voice,
) (p prepared, err error) {
	defer r.rescue(s, &err)
	r.reached("asked")
	updates, err := parseLines(c.lines)
	if err != nil {
		return p, err
	}
	for _, option := range c.pushOptions() {
		say.detail("the push option %q is not known here", plain(option, 100))
	}
	if p.repo, err = s.repo.WithQuarantine(
		git.Quarantine{Objects: lookup(c.env, "GIT_OBJECT_DIRECTORY")},
	); err != nil {
		return p, err
	}
	waited := false
	if p.done, err = r.turn(ctx, s, updates, say, &waited); err != nil {
		return p, s.why(ctx, err)
	}
	// Both may have changed while this push waited.
	if _, err := s.client.Admit(s.app.Name); err != nil {
		r.refused(Request{Actor: s.actor, Service: receivePack, App: s.app.Name}, err)
		return p, err
	}
	if err := followed(s.app); err != nil {
		return p, err
	}
	// else the branch may still be behind a rollback
	if p.view, err = r.reconcile(ctx, s.app, true); err != nil {
		r.Log.Warn("not reconciled", "app", s.app.Name, "err", err)
		if p.view, err = readView(s.app, p.repo); err != nil {
			return p, err
		}
	}
	branch, u, err := p.view.judge(updates, s.app.Name, r.advice)
	if err != nil {
		return p, err
	}
	p.view.branch = branch
	if err := moved(p.view, u, waited); err != nil {
		return p, err
	}
	sayCrashed(s.app, say)
	if p.release, err = r.publish(ctx, s, p.repo, branch, u, say); err == nil {
		r.reached("published")
		p.note, err = r.verdict(ctx, s, p.release, say)
	}
	err = s.why(ctx, err)
	if err != nil && p.release.N > 0 && p.note == "" {
		p.note = "cancelled: " + plain(err.Error(), 200)
	}
	return p, err
}

// turn waits for the app's turn. A push that has to wait is judged before, so that nobody waits
// only to learn that a name is wrong.
func (r *Receiver) turn(
	ctx context.Context, s *session, updates []update, say voice, waited *bool,
) (done func(), err error) {
	ctx, refuse := context.WithCancelCause(ctx)
	defer refuse(nil)
	done, err = deploy.Turn(ctx, s.app, s.who+"'s push", func(holder string) {
		*waited = true
		v, err := readView(s.app, s.repo)
		if err == nil {
			_, _, err = v.judge(updates, s.app.Name, r.advice)
		}
		if err != nil {
			refuse(err)
			return
		}
		say.step("%s", deploy.Waiting(holder))
	})
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	return done, err
}

// why returns err, or errLeft if the pusher has left.
func (s *session) why(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return errLeft
	}
	return err
}

// moved returns an error if the branch is not where the pusher saw it. git would find out too, but
// only after the build.
func moved(v view, u update, waited bool) error {
	if v.ref == u.old {
		return nil
	}
	while := ""
	if waited {
		while = " while this push waited"
	}
	if v.ref == "" {
		return fmt.Errorf("%s is gone%s; push again", v.branch, while)
	}
	return fmt.Errorf(
		"%s has moved to %s%s; git pull, then push again", v.branch, git.Short(v.ref), while,
	)
}

// sayCrashed tells the pusher which processes of the live release have crashed since their push.
func sayCrashed(app volume.App, say voice) {
	live := app.Live()
	crashed, err := app.CrashedOf(live)
	if err != nil {
		return // ps reports it
	}
	for _, p := range crashed {
		say.fault(
			"%s v%d, which is live, has crashed: %s: %s", app.Name, live, p.Name(),
			plain(p.Reason, 200),
		)
	}
}

// publish inspects the pushed commit, checks it out, and makes it a release.
func (r *Receiver) publish(
	ctx context.Context, s *session, repo git.Repo, branch string, u update, say voice,
) (volume.Release, error) {
	objects := repo.Objects()
	defer objects.Close()
	if _, err := objects.Commit(u.new); errors.Is(err, git.ErrNotCommit) {
		return volume.Release{}, fmt.Errorf(
			"%s can only be a commit, and this is %w. "+
				"Push what it points at: git push paas 'TAG^{commit}:%s'",
			branch, err, branch,
		)
	} else if err != nil {
		return volume.Release{}, err
	}
	if s.heard.shallow() { // git checks after the hook, and reports no more than "not allowed"
		if _, err := repo.CountDropped(ctx, u.new, u.old); err != nil {
			return volume.Release{}, refused{
				"this clone is shallow, and the server lacks the history before it",
				"Fetch the rest, then push again: git fetch --unshallow",
			}
		}
	}
	if err := r.sayMove(ctx, objects, repo, branch, u, say); err != nil {
		r.Log.Warn(
			"moved commits not counted", "app", s.app.Name, "commit", git.Short(u.new), "err", err,
		)
	}
	m := r.maker(s.app, say)
	build, _, err := m.Inspect(ctx, objects, u.new, branch)
	if err != nil {
		return volume.Release{}, inLines(err)
	}
	by := volume.Release{By: s.who, Cause: volume.CausePush}
	release, err := m.Publish(ctx, build, by, objects)
	return release, inLines(full(err))
}

// inLines returns a [*git.Refused] as lines for the pusher, and any other error as it is.
func inLines(err error) error {
	var bad *git.Refused
	if errors.As(err, &bad) {
		return refused{plain(bad.Reason, 300), plain(bad.Advice, 300)}
	}
	return err
}

// nearby is how many commits are searched for the branch's old one before git is asked.
const nearby = 256

// sayMove tells the pusher that commits are removed from the branch. Its error is for the log.
func (r *Receiver) sayMove(
	ctx context.Context, objects *git.Objects, repo git.Repo, branch string, u update, say voice,
) error {
	if u.old == "" {
		return nil
	}
	forward, known, err := objects.IsAncestor(ctx, u.old, u.new, nearby)
	if err == nil && !known {
		forward, err = repo.IsAncestor(ctx, u.old, u.new)
	}
	if err != nil || forward {
		return err
	}
	dropped, err := repo.CountDropped(ctx, u.old, u.new)
	if err != nil {
		return err
	}
	commits := dropped + " commits are"
	if dropped == "1" {
		commits = "1 commit is"
	}
	say.step(
		"%s moves from %s to %s: %s no longer on it", branch, git.Short(u.old), git.Short(u.new),
		commits,
	)
	return nil
}

// full adds what to do if err is about a full disk.
func full(err error) error {
	if plain := deploy.DiskFull(err); plain != err {
		return fmt.Errorf("%w, then push again", plain)
	}
	return err
}

// advice returns what the pusher can do; empty if that is not known.
func (r *Receiver) advice(what volume.Remedy) string {
	if r.Advice == nil {
		return ""
	}
	return r.Advice(what)
}

// verdict shows the pusher what happens to the release until it is decided on. Without an error it
// is ready, and the push goes through even if the pusher leaves; otherwise note is the reason, for
// the audit.
func (r *Receiver) verdict(
	ctx context.Context, s *session, release volume.Release, to voice,
) (note string, err error) {
	m := r.maker(s.app, to)
	status, err := m.Await(ctx, release)
	r.reached("verdict")
	if err != nil {
		return "", err
	}
	_, denied := s.client.Admit(s.app.Name)
	switch {
	case status.State != volume.Ready:
		reason := cmp.Or(status.Reason, string(status.State))
		lines := refused{}
		for line := range strings.Lines(fmt.Sprintf("%s %s: %s", s.app.Name, release, reason)) {
			lines = append(lines, plain(strings.TrimSuffix(line, "\n"), 500))
		}
		if status.Hint != "" {
			lines = append(lines, plain(status.Hint, 500))
		}
		if advice := r.advice(status.Remedy); advice != "" {
			lines = append(lines, advice)
		}
		return "failed: " + plain(
			say.OneLine(reason), 200,
		), append(lines, deploy.Instead(s.app, "Fix it, commit, and push again."))
	case denied != nil:
		return "", errors.Join(denied, m.TakeBack(release.N, denied.Error()))
	case !s.conclude(ctx):
		return "", errors.Join(errLeft, m.TakeBack(release.N, s.who+" left"))
	}
	r.reached("concluded")
	return "", nil
}
