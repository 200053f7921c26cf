package sidecar

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"

	"paas/deploy"
	"paas/git"
	"paas/say"
	"paas/volume"
)

// Sync polls the app's source now and deploys what is there, also a commit that failed before, and
// shows on out what it does. who is the author of the release. It calls report with the release of
// the commit once that is live, or if it is already, and then blocks until a new version is
// announced. If ctx ends before the commit is decided on, the release is taken back. Sync does not
// need Run, and works beside one in any process. It is an error if the commit does not run.
func (s *Sidecar) Sync(
	ctx context.Context, app volume.App, who string, out io.Writer, report func(volume.Release),
) error {
	s.prepare()
	u, err := s.subjectOf(app.Name)
	if err != nil {
		return err
	}
	if u == nil {
		return &volume.Problem{
			Err:    fmt.Errorf("%s follows no source", app.Name),
			Remedy: volume.Remedy{Do: volume.FollowRepository, App: app.Name},
		}
	}
	say.Step(out, "Looking at %s", u.source.URL)
	head, err := s.ask(ctx, *u)
	if err != nil {
		return err
	}
	say.Detail(out, "%s", head)
	done, err := attempt{
		Sidecar: s,
		subject: *u,
		by:      who,
		who:     who + "'s sync",
		forced:  true,
		patient: true,
		out:     out,
	}.run(ctx, head)
	if err != nil {
		return err
	}
	switch done.result {
	case nothing:
		say.Detail(out, "it is live already")
		report(done.release)
		return nil
	case live:
		report(done.release)
		s.announce(ctx, app, done.release)
		return nil
	}
	if done.status.Hint != "" {
		say.Detail(out, "%s", say.Plain(done.status.Hint, maxLine))
	}
	say.Detail(out, "%s", deploy.Instead(app, "Fix it, commit, and push to the source."))
	return errors.New(whyNot(app, done.source))
}

// advice returns a remedy in words; empty if none is known.
func (s *Sidecar) advice(what volume.Remedy) string {
	if s.Advice == nil {
		return ""
	}
	return s.Advice(what)
}

// advise shows what can be done, if that is known.
func (s *Sidecar) advise(out io.Writer, what volume.Remedy) {
	if advice := s.advice(what); advice != "" {
		say.Detail(out, "%s", advice)
	}
}

// whyNot says why the last commit does not run.
func whyNot(app volume.App, l volume.SourceStatus) string {
	if l.Release == 0 {
		return fmt.Sprintf("%s: %s cannot be deployed: %s", app.Name, git.Short(l.Commit), l.Failed)
	}
	return fmt.Sprintf("%s v%d: %s", app.Name, l.Release, l.Failed)
}

// Once polls each source one time, several at once, deploys new commits, and writes a line for each
// source on out. It does not try again a commit that was decided on. It blocks until all are
// decided on. The error names the apps whose source could not be followed, or whose last commit
// does not run.
func (s *Sidecar) Once(ctx context.Context, out io.Writer) error {
	s.prepare()
	names, err := s.Volume.Apps()
	if err != nil {
		return err
	}
	var (
		mu     sync.Mutex // guards out and failed
		failed []string
		any    bool
		all    sync.WaitGroup
	)
	for _, name := range names {
		u, err := s.subjectOf(name)
		if u == nil && err == nil {
			continue
		}
		any = true
		all.Go(func() {
			line := ""
			if err == nil {
				line, err = s.single(ctx, *u)
			}
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed = append(failed, name)
				if ctx.Err() == nil {
					say.Fault(out, "%s", oneLine(err))
					s.advise(out, volume.RemedyOf(err))
				}
				return
			}
			say.Step(out, "%s", line)
		})
	}
	all.Wait()
	if !any {
		say.Step(out, "No app follows a repository")
		s.advise(out, volume.Remedy{Do: volume.FollowRepository})
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	if len(failed) == 0 {
		return nil
	}
	slices.Sort(failed)
	return fmt.Errorf("not synced: %s", strings.Join(failed, ", "))
}

// single polls one source one time, and returns a line about the result.
func (s *Sidecar) single(ctx context.Context, u subject) (line string, err error) {
	leave, err := s.polls.take(ctx, false)
	if err != nil {
		return "", err
	}
	head, err := s.ask(ctx, u)
	leave()
	if err != nil {
		return "", err
	}
	if leave, err = s.syncs.take(ctx, false); err != nil {
		return "", err
	}
	defer leave()
	done, err := attempt{
		Sidecar: s,
		subject: u,
		by:      "sidecar",
		who:     "the sidecar",
		patient: true,
		once:    true,
		leave:   leave,
		out:     io.Discard,
	}.run(ctx, head)
	if err != nil {
		return "", err
	}
	if done.source.Failed != "" {
		return "", errors.New(whyNot(u.app, done.source))
	}
	if done.result == nothing {
		return fmt.Sprintf(
			"%s: nothing new; %s", u.app.Name, head,
		), nil
	}
	s.announce(ctx, u.app, done.release)
	return s.maker(u.app, io.Discard).LiveLine(done.release), nil
}
