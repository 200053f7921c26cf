package receiver

import (
	"context"
	"io"

	"paas/deploy"
	"paas/volume"
)

// postReceive is the second phase of a push: git has moved the branch, the release gets the
// traffic. Its status is of no consequence to git.
func (r *Receiver) postReceive(s *session, say voice) int {
	status := r.bringLive(s, say)
	s.lost = status != 0
	return status
}

func (r *Receiver) bringLive(s *session, say voice) int {
	if s.release == 0 {
		say.fault("git took a push that was not prepared")
		return 1
	}
	r.reached("moved")
	if err := s.app.Commit(s.release); err != nil {
		say.fault("%s v%d is not committed: %v", s.app.Name, s.release, err)
		return 1
	}
	r.reached("committed")
	if placed, err := r.place(context.WithoutCancel(s.ctx), s.app, s.release, say); placed {
		if err != nil {
			s.note = "failed: " + plain(err.Error(), 200)
			say.fault("%s v%d is not live: %v", s.app.Name, s.release, full(err))
			return 1
		}
		say.step("%s v%d is live, in %s", s.app.Name, s.release, s.app.Worktree())
		return 0
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), goLive)
	defer cancel()
	status, err := s.app.AwaitOver(ctx, s.release)
	switch {
	case err == nil && status.State == volume.Live:
		say.step("%s", deploy.LiveLine(s.app, s.release, r.URL))
		return 0
	case err != nil && ctx.Err() == nil:
		say.fault("%s v%d: %v", s.app.Name, s.release, err)
		return 1
	case status.State.Over():
		s.note = "failed: " + plain(status.Reason, 200)
		say.fault("%s v%d is not live: %s: %s", s.app.Name, s.release, status.State, plain(status.Reason, 500))
	default:
		say.fault("%s v%d is not live yet: %s", s.app.Name, s.release, status.State)
	}
	say.fault("See what became of it: %s", r.Hint("releases", s.app.Name))
	return 1
}

// place writes release n into the app's worktree, where it is in watch mode.
func (r *Receiver) place(ctx context.Context, app volume.App, n int, out io.Writer) (placed bool, err error) {
	release, err := app.Release(n)
	if err != nil || release.Settings.Mode != volume.InPlace {
		return false, err
	}
	objects := r.repo(app).Objects()
	defer objects.Close()
	return true, deploy.Place(ctx, app, release, objects, out)
}
