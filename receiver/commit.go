package receiver

import (
	"context"

	"paas/volume"
)

// postReceive is the second phase of a push: git has moved the branch, and the release goes live. git
// takes no notice of its status.
func (r *Receiver) postReceive(s *session, say voice) int {
	s.told = true
	status := r.bringLive(s, say)
	s.lost = status != 0
	return status
}

func (r *Receiver) bringLive(s *session, say voice) int {
	if s.release == 0 { // git ran no pre-receive: the push is taken back
		return 1
	}
	r.reached("moved")
	release, err := s.app.Release(s.release)
	if err == nil {
		err = s.app.Commit(s.release)
	}
	if err != nil {
		say.fault("%s v%d is not committed: %v", s.app.Name, s.release, err)
		return 1
	}
	r.reached("committed")
	m := r.maker(s.app, say)
	objects := r.repo(s.app).Objects()
	defer objects.Close()
	status, err := m.Finish(context.WithoutCancel(s.ctx), release, objects)
	switch {
	case err != nil:
		s.note = "failed: " + plain(err.Error(), 200)
		say.fault("%s %s is not live: %v", s.app.Name, release, full(err))
	case status.State == volume.Live && release.Settings.Mode == volume.InPlace:
		say.step("%s %s is live, in %s", s.app.Name, release, s.app.Worktree())
		return 0
	case status.State == volume.Live:
		say.step("%s", m.LiveLine(s.release))
		return 0
	default:
		s.note = "failed: " + plain(status.Reason, 200)
		say.fault("%s %s is not live: %s: %s", s.app.Name, release, status.State, plain(status.Reason, 500))
	}
	say.fault("See what became of it: %s", r.Hint("releases", s.app.Name))
	return 1
}
