package deploy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"paas/say"
	"paas/volume"
)

// await blocks until release r is decided, and shows what happens to it until then.
func (m Maker) await(ctx context.Context, r volume.Release) (volume.Status, error) {
	out := say.NewShared(m.Out)
	log := &releaseLog{path: m.App.ReleaseLog(r.N), out: out}
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
			<-noticed // it writes to Out, which is the caller's again
		}
	}()
	s, err := m.decided(ctx, r.N, func(s volume.State) bool { return s == volume.Proving || s.Decided() })
	if err != nil || s.State != volume.Proving {
		return s, err
	}
	log.stop() // what it printed until now comes first
	say.Step(out, "%s %s gets the traffic%s", m.App.Name, r, m.at(r.N))
	say.Detail(out, "watching it for %s; Ctrl-C takes it back", seconds(s.Prove))
	log.follow(ctx)
	if m.Watching != nil {
		m.Watching()
	}
	return m.decided(ctx, r.N, volume.State.Decided)
}

// seconds is d as people write it: 5 s, 1.5 s.
func seconds(d time.Duration) string { return fmt.Sprintf("%g s", d.Seconds()) }

// decided blocks until the state of release n is one that the caller waits for. A runtime that is
// restarted takes a moment; without this limit a caller would wait for ever where none is started.
func (m Maker) decided(ctx context.Context, n int, enough func(volume.State) bool) (s volume.Status, err error) {
	var alone time.Time // since when there has been no runtime; zero: there is one
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
			return false, errors.New("nothing runs the apps of this server; start it: paas serve app")
		}
		return false, nil
	})
	return s, err
}

// releaseLog copies a release's log to out, from where it was stopped before.
type releaseLog struct {
	path     string
	out      io.Writer
	read     int64
	end      context.CancelFunc // nil: not following
	followed chan struct{}
}

func (l *releaseLog) follow(ctx context.Context) {
	ctx, l.end = context.WithCancel(context.WithoutCancel(ctx))
	l.followed = make(chan struct{})
	go func() {
		defer close(l.followed)
		volume.Follow(ctx, l.path, l.read, l) // its error: nobody reads any more
	}()
}

// stop copies what the log has now, and returns when that is done.
func (l *releaseLog) stop() {
	if l.end != nil {
		l.end()
		<-l.followed
		l.end = nil
	}
}

// Write is for [volume.Follow].
func (l *releaseLog) Write(p []byte) (int, error) {
	n, err := l.out.Write(p)
	l.read += int64(n)
	return n, err
}
