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

// Sync looks at the app's source now and deploys what is there, also a commit that failed before,
// and says on out what it does. Who is named in the release. Blocks until the commit has its verdict
// and the new version was announced; a ctx that ends earlier takes the release back. It needs no
// Run, and minds one in any process. It is no error that there is nothing to deploy; it is one that
// what is there does not run.
func (s *Sidecar) Sync(ctx context.Context, app volume.App, who string, out io.Writer) error {
	s.prepare()
	u, err := s.subjectOf(app.Name)
	if err != nil {
		return err
	}
	if u == nil {
		return fmt.Errorf("%s follows no source; source:set gives it one", app.Name)
	}
	say.Step(out, "Looking at %s", u.source.URL)
	head, err := s.ask(ctx, *u)
	if err != nil {
		return err
	}
	say.Detail(out, "%s is at %s", head.Branch, git.Short(head.Commit))
	done, err := attempt{Sidecar: s, subject: *u, by: who, who: who + "'s sync", forced: true, patient: true, out: out}.run(ctx, head)
	if err != nil {
		return err
	}
	switch done.deed {
	case nothing:
		say.Step(out, "%s %s is live already: it is %s", app.Name, done.release, git.Short(done.looked.Commit))
		return nil
	case live:
		say.Step(out, "%s", s.maker(app, out).LiveLine(done.release.N))
		s.announce(ctx, app, done.release)
		return nil
	}
	if done.status.Hint != "" {
		say.Detail(out, "%s", say.Plain(done.status.Hint, maxLine))
	}
	say.Detail(out, "%s", deploy.Instead(app, "Fix it, commit, and push to the source."))
	return errors.New(verdict(app, done.looked))
}

// verdict is why the last commit does not run.
func verdict(app volume.App, l volume.SourceStatus) string {
	if l.Release == 0 {
		return fmt.Sprintf("%s: %s cannot be deployed: %s", app.Name, git.Short(l.Commit), l.Failed)
	}
	return fmt.Sprintf("%s v%d: %s", app.Name, l.Release, l.Failed)
}

// Once looks at every source one time, some side by side, deploys what is new, and says on out one
// line for each. A commit that had its verdict is not tried again. Blocks until all is decided. The
// error names the apps whose source could not be followed, or whose last commit does not run.
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
				}
				return
			}
			say.Step(out, "%s", line)
		})
	}
	all.Wait()
	if !any {
		say.Step(out, "No app follows a repository; source:set APP URL has one do so")
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

// single looks at one source one time, and says in a line what came of it.
func (s *Sidecar) single(ctx context.Context, u subject) (line string, err error) {
	leave, err := s.looks.take(ctx, false)
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
	done, err := attempt{Sidecar: s, subject: u, by: "sidecar", who: "the sidecar", patient: true, once: true, leave: leave, out: io.Discard}.run(ctx, head)
	if err != nil {
		return "", err
	}
	if done.looked.Failed != "" {
		return "", errors.New(verdict(u.app, done.looked))
	}
	if done.deed == nothing {
		return fmt.Sprintf("%s: nothing new; %s is at %s", u.app.Name, head.Branch, git.Short(head.Commit)), nil
	}
	s.announce(ctx, u.app, done.release)
	return s.maker(u.app, io.Discard).LiveLine(done.release.N), nil
}
