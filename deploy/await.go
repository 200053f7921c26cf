package deploy

import (
	"context"
	"errors"
	"time"

	"paas/say"
	"paas/volume"
)

// await blocks until release r is decided on, and shows what happens to it until then.
func (m Maker) await(ctx context.Context, r volume.Release) (volume.Status, error) {
	out := say.NewShared(m.Out)
	log := &releaseLog{path: m.App.ReleaseLog(r.N), out: say.NewFlat(out)}
	log.follow(ctx)
	defer log.stop()
	noticed := make(chan struct{})
	notice := time.AfterFunc(unseen, func() {
		defer close(noticed)
		if s, err := m.App.Status(r.N); err == nil && s.State == volume.Queued {
			say.Detail(out, "%s waits for the runtime; is it running?", r)
		}
	})
	defer func() {
		if !notice.Stop() {
			<-noticed // after await has returned, Out belongs to the caller
		}
	}()
	s, err := m.decided(
		ctx, r.N, func(s volume.State) bool { return s == volume.Proving || s.Decided() },
	)
	if err != nil || s.State != volume.Proving {
		return s, err
	}
	log.stop() // shows what was printed until now first
	say.Step(out, "%s %s gets the traffic%s", m.App.Name, r, m.at(r))
	say.Detail(out, "watching it for %g s; Ctrl-C takes it back", s.Prove.Seconds())
	log.follow(ctx)
	if m.Watching != nil {
		m.Watching()
	}
	return m.decided(ctx, r.N, volume.State.Decided)
}

// decided blocks until enough returns true for the state of release n. It waits two minutes for a
// runtime: one that restarts takes a moment, but if none is started a caller must not wait for
// ever.
func (m Maker) decided(
	ctx context.Context, n int, enough func(volume.State) bool,
) (s volume.Status, err error) {
	var alone time.Time // since when there is no runtime; zero: there is one
	err = m.App.Await(ctx, func() (bool, error) {
		if s, err = m.App.Status(n); err != nil || enough(s.State) {
			return err == nil, err
		}
		switch {
		case !m.App.Exists():
			return false, volume.ErrNoApp
		case m.App.Volume().Claimed(volume.RoleApp):
			alone = time.Time{}
		case alone.IsZero():
			alone = time.Now()
		case time.Since(alone) > noRuntime:
			return false, &volume.Problem{
				Err:    errors.New("nothing runs the apps of this server"),
				Remedy: volume.Remedy{Do: volume.StartServer, With: volume.RoleApp},
			}
		}
		return false, nil
	})
	return s, err
}

// releaseLog copies a release's log to out. It can be stopped, and goes on from there.
type releaseLog struct {
	path     string
	out      *say.Indent // where the runtime has no user of its own, an app can write to its log
	read     int64
	end      context.CancelFunc // nil: not following
	followed chan struct{}
}

func (l *releaseLog) follow(ctx context.Context) {
	ctx, l.end = context.WithCancel(context.WithoutCancel(ctx))
	l.followed = make(chan struct{})
	go func() {
		defer close(l.followed)
		volume.Follow(ctx, l.path, l.read, l) // with an error nobody reads any more
	}()
}

// stop copies the rest of what the log has now, and ends the copying.
func (l *releaseLog) stop() {
	if l.end != nil {
		l.end()
		<-l.followed
		l.out.Close()
		l.end = nil
	}
}

// Write implements [io.Writer], for [volume.Follow].
func (l *releaseLog) Write(p []byte) (int, error) {
	n, err := l.out.Write(p)
	l.read += int64(n)
	return n, err
}
