package receiver

import (
	"context"
	"fmt"

	"paas/deploy"
	"paas/say"
	"paas/volume"
)

// postReceive is the second phase of a push: git has moved the branch, and now the release goes
// live.
func (r *Receiver) postReceive(s *session, to voice) (a accepted, err error) {
	defer r.rescue(s, &err)
	if s.prepared == nil || s.prepared.release.N == 0 { // the push is taken back
		return a, refused{}
	}
	r.reached("moved")
	release := s.prepared.release
	m := r.maker(s.app, to)
	if err := m.Commit(release.N); err != nil {
		return a, fmt.Errorf("%s %s is not committed: %w", s.app.Name, release, err)
	}
	r.reached("committed")
	objects := r.repo(s.app).Objects()
	defer objects.Close()
	status, err := m.Finish(context.WithoutCancel(s.ctx), release, objects)
	why := ""
	switch {
	case err != nil:
		why = deploy.DiskFull(err).Error()
		a.note = plain(err.Error(), 200)
	case status.State == volume.Live:
		if release.OnlyFiles() {
			watcher := r.advice(volume.Remedy{Do: volume.RunWatcher, App: s.app.Name})
			to.detail("this server does not run it; %s", watcher)
		} else {
			r.sayIdle(s.app, release, to)
		}
		to.step("%s", m.LiveLine(release)) // the last line of a push is its address
		return accepted{live: true}, nil
	default:
		reason := say.OneLine(status.Reason)
		why = fmt.Sprintf("%s: %s", status.State, plain(reason, 500))
		a.note = plain(reason, 200)
	}
	a.note = "failed: " + a.note
	return a, refused{
		fmt.Sprintf("%s %s is not live: %s", s.app.Name, release, why),
		r.advice(volume.Remedy{Do: volume.ShowReleases, App: s.app.Name}),
	}
}

// sayIdle tells the pusher which process types do not run unless somebody asks for them.
func (r *Receiver) sayIdle(app volume.App, release volume.Release, to voice) {
	types, err := deploy.Idle(app, release)
	if err != nil {
		r.Log.Warn("idle process types not found", "app", app.Name, "err", err)
	}
	for _, t := range types {
		start := r.advice(volume.Remedy{Do: volume.StartType, App: app.Name, With: t})
		to.detail("%s is not running; %s", t, start)
	}
}
