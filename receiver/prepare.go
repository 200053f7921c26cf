package receiver

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"

	"paas/deploy"
	"paas/git"
	"paas/volume"
)

// refused is why a push is not taken, in lines for the pusher.
type refused []string

func (r refused) Error() string { return strings.Join(r, "\n") }

// preReceive is the first phase of a push: it returns 0 once the release that it made has proved itself.
func (r *Receiver) preReceive(ctx context.Context, s *session, c call, say voice) int {
	s.asked = true
	r.reached("asked")
	err := r.admit(ctx, s, c, say)
	if err == nil {
		return 0
	}
	if s.release > 0 && s.note == "" {
		s.note = "cancelled: " + plain(err.Error(), 200)
	}
	var lines refused
	if !errors.As(err, &lines) {
		lines = refused{err.Error()}
	}
	for _, line := range lines {
		say.fault("%s", line)
	}
	return 1
}

func (r *Receiver) admit(ctx context.Context, s *session, c call, say voice) error {
	var updates []update
	for _, line := range c.lines {
		u, err := parseLine(line)
		if err != nil {
			return err
		}
		updates = append(updates, u)
	}
	for _, option := range c.pushOptions() {
		say.detail("the push option %q is not known here", plain(option, 100))
	}
	var err error
	s.repo, err = s.repo.WithQuarantine(git.Quarantine{Objects: lookup(c.env, "GIT_OBJECT_DIRECTORY")})
	if err != nil {
		return err
	}
	if _, _, err := r.judge(s, updates); err != nil { // at once: no waiting to be told a wrong name
		return err
	}
	waited := false
	s.done, err = s.app.Turn(ctx, s.who+"'s push", func(holder string) {
		waited = true
		say.step("Waiting for %s to end", plain(holder, 100))
	})
	if err != nil {
		return s.why(ctx, err)
	}
	if err := followed(s.app); err != nil { // it may have been set while this push waited
		return err
	}
	if err := s.app.Mend(); err != nil { // what is deployed next starts from what is live
		return err
	}
	if err := r.reconcile(ctx, s.app, goLive); err != nil { // else the branch may still be behind a rollback
		r.Log.Warn("not reconciled", "app", s.app.Name, "err", err)
	}
	branch, u, err := r.judge(s, updates)
	if err != nil {
		return err
	}
	if err := moved(s.repo, branch, u, waited); err != nil {
		return err
	}
	sayCrashed(s.app, say)
	release, err := r.publish(ctx, s, branch, u, say)
	if err != nil {
		return s.why(ctx, err)
	}
	r.reached("published")
	return r.verdict(ctx, s, release, say)
}

// why is err, or that the pusher left where that is its cause.
func (s *session) why(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return errLeft
	}
	return err
}

// judge is what the rules say of the updates as settings and branches are now.
func (r *Receiver) judge(s *session, updates []update) (branch string, deploys update, err error) {
	v, err := look(s.app, s.repo, updates)
	if err != nil {
		return "", update{}, err
	}
	deploys, lines := judge(updates, v.branch, s.app.Name, r.Hint)
	if len(lines) > 0 {
		return "", update{}, refused(lines)
	}
	return v.branch, deploys, nil
}

// moved says that the branch is not where the pusher saw it. git would find that out too, but only
// after the build.
func moved(repo git.Repo, branch string, u update, waited bool) error {
	now, err := repo.Ref(u.ref)
	if err != nil || now == u.old {
		return err
	}
	while := ""
	if waited {
		while = " while this push waited"
	}
	if now == "" {
		return fmt.Errorf("%s is gone%s; push again", branch, while)
	}
	return fmt.Errorf("%s has moved to %s%s; git pull, then push again", branch, git.Short(now), while)
}

// sayCrashed tells the pusher which processes of the live release have crashed since their push.
func sayCrashed(app volume.App, say voice) {
	live := app.Live()
	crashed, err := app.CrashedOf(live)
	if err != nil {
		return // ps says so
	}
	for _, p := range crashed {
		say.fault("%s v%d, which is live, has crashed: %s: %s", app.Name, live, p.Name(), plain(p.Reason, 200))
	}
}

// publish inspects the pushed commit, checks it out and makes it a release, which waits for its
// commit.
func (r *Receiver) publish(ctx context.Context, s *session, branch string, u update, say voice) (volume.Release, error) {
	objects := s.repo.Objects()
	defer objects.Close()
	commit, err := objects.Commit(u.new)
	if errors.Is(err, git.ErrNotCommit) {
		return volume.Release{}, fmt.Errorf("%s can only be a commit, and this is %w. Push what it points at: git push paas 'TAG^{commit}:%s'", branch, err, branch)
	}
	if err != nil {
		return volume.Release{}, err
	}
	if s.heard.shallow() { // git looks after the hook, and says no more than "not allowed"
		if _, err := s.repo.CountDropped(ctx, u.new, u.old); err != nil {
			return volume.Release{}, refused{"this clone is shallow, and the server lacks the history before it",
				"Fetch the rest, then push again: git fetch --unshallow"}
		}
	}
	if err := r.sayMove(ctx, objects, s.repo, branch, u, say); err != nil {
		r.Log.Warn("moved commits not counted", "app", s.app.Name, "commit", git.Short(u.new), "err", err)
	}
	summary, err := r.inspector.Inspect(ctx, objects, commit.Tree)
	var bad *git.Refused
	if errors.As(err, &bad) {
		return volume.Release{}, refused{plain(bad.Reason, 300), plain(bad.Advice, 300)}
	}
	if err != nil {
		return volume.Release{}, err
	}
	build := volume.Build{
		Commit: commit.Hash, Branch: branch, Subject: plain(commit.Subject, 72), Files: summary.Files, Bytes: summary.Bytes,
	}
	deploy.Introduce(say, s.app, build)
	if err := r.Room.For(r.Volume, build.Bytes, build.Files); err != nil {
		return volume.Release{}, err
	}
	deploy.Warn(summary.Scripts, say)
	release, err := r.maker(s.app, say).Publish(build, volume.Release{By: s.who, Cause: volume.CausePush},
		func(tree string) error { return s.repo.Checkout(ctx, commit.Hash, tree) })
	s.release = release.N
	return release, full(err)
}

// nearby is how many commits are looked through for the branch's old one before git is asked.
const nearby = 256

// sayMove tells the pusher that commits are taken off the branch. Its error is for the log.
func (r *Receiver) sayMove(ctx context.Context, objects *git.Objects, repo git.Repo, branch string, u update, say voice) error {
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
	say.step("%s moves from %s to %s: %s no longer on it", branch, git.Short(u.old), git.Short(u.new), commits)
	return nil
}

// full says in plain words that the disk is.
func full(err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		return fmt.Errorf("the server's disk is full: %w. Make room on it, then push again", err)
	}
	return err
}

// verdict shows the pusher what happens to the release until it is decided. nil: it is ready, and the
// push goes through whatever happens to the pusher.
func (r *Receiver) verdict(ctx context.Context, s *session, release volume.Release, say voice) error {
	log := &logLines{to: say}
	m := r.maker(s.app, log)
	status, err := m.Await(ctx, release)
	log.finish()
	r.reached("verdict")
	switch {
	case err != nil:
		return s.why(ctx, err)
	case status.State != volume.Ready:
		return r.failure(s, release, status)
	case !s.settle(ctx):
		return errors.Join(errLeft, m.TakeBack(release.N, s.who+" left"))
	}
	r.reached("settled")
	return nil
}

// failure is what the pusher of a release that did not become ready reads.
func (r *Receiver) failure(s *session, release volume.Release, status volume.Status) error {
	reason := status.Reason
	if reason == "" {
		reason = string(status.State)
	}
	s.note = "failed: " + plain(reason, 200)
	lines := refused{fmt.Sprintf("%s %s: %s", s.app.Name, release, plain(reason, 500))}
	if status.Hint != "" {
		lines = append(lines, plain(status.Hint, 500))
	}
	if live := s.app.Live(); live > 0 {
		return append(lines, fmt.Sprintf("v%d keeps serving. Fix it, commit, and push again.", live))
	}
	return append(lines, "Nothing is live yet. Fix it, commit, and push again.")
}
