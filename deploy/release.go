package deploy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"paas/say"
	"paas/volume"
)

const (
	goLive    = time.Minute      // how long a committed release is waited for
	noRuntime = 2 * time.Minute  // before a release is given up that nobody takes up
	unseen    = 10 * time.Second // after how long it is said that nobody has taken a release up
)

// Turn waits for the app's turn to deploy, as [volume.App.Turn] does, and then for a release that
// somebody who died has left committed: what is done next must start from it.
func Turn(ctx context.Context, app volume.App, who string, waiting func(holder string)) (done func(), err error) {
	done, err = app.Turn(ctx, who, waiting)
	if err != nil {
		return nil, err
	}
	if err := Repair(app); err != nil {
		done()
		return nil, err
	}
	for _, n := range app.Numbers() {
		if n <= app.Live() || !app.Committed(n) || !app.Volume().Claimed(volume.RoleApp) {
			continue
		}
		if r, err := app.Release(n); err == nil && r.Settings.Mode == volume.InPlace {
			continue
		}
		patience, stop := context.WithTimeout(ctx, goLive)
		_, err := app.AwaitOver(patience, n)
		stop()
		if err != nil && !errors.Is(err, context.DeadlineExceeded) {
			done()
			return nil, err
		}
	}
	return done, nil
}

// Release makes r the app's next release and brings it to life: it publishes r, copies the release's
// log to out until the verdict, commits it where it is ready, and waits until it is live or out. The
// caller holds the app's turn. A ctx that ends before the verdict takes the release back, and its
// error is returned; one that ends later changes nothing. A release that came to nothing is no
// error: the status says so.
func Release(ctx context.Context, app volume.App, r volume.Release, out io.Writer) (volume.Release, volume.Status, error) {
	r, err := app.Publish(r)
	if err != nil {
		return r, volume.Status{}, err
	}
	s, err := Verdict(ctx, app, r, out)
	if err != nil {
		why := err.Error()
		if ctx.Err() != nil {
			why = r.By + " left"
		}
		return r, s, errors.Join(err, app.Cancel(r.N, why))
	}
	if s.State != volume.Ready {
		return r, s, nil
	}
	if err := app.Commit(r.N); err != nil {
		return r, s, errors.Join(err, app.Cancel(r.N, err.Error()))
	}
	ctx, stop := context.WithTimeout(context.WithoutCancel(ctx), goLive) // it is decided now
	defer stop()
	s, err = app.AwaitOver(ctx, r.N)
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("%s %s is committed, and not live after %s: it is %s", app.Name, r, goLive, s.State)
	}
	return r, s, err
}

// Verdict copies the log of release r to out as it grows until r is decided. The error is ctx's, the
// volume's, or that there has been no runtime for two minutes.
func Verdict(ctx context.Context, app volume.App, r volume.Release, out io.Writer) (volume.Status, error) {
	out = &shared{Writer: out}
	following, stop := context.WithCancel(context.WithoutCancel(ctx))
	followed := make(chan struct{})
	go func() {
		defer close(followed)
		volume.Follow(following, app.ReleaseLog(r.N), 0, out) // its error: nobody reads any more
	}()
	noticed := make(chan struct{})
	notice := time.AfterFunc(unseen, func() {
		defer close(noticed)
		if s, err := app.Status(r.N); err == nil && s.State == volume.Queued {
			say.Detail(out, "%s waits for the runtime; is it running?", r)
		}
	})
	s, err := await(ctx, app, r.N)
	if !notice.Stop() {
		<-noticed // it writes to out, which is the caller's again
	}
	stop()
	<-followed
	return s, err
}

// await blocks until release n is decided. A runtime that is started anew takes a moment; one that is
// not started at all would have the caller wait for ever.
func await(ctx context.Context, app volume.App, n int) (s volume.Status, err error) {
	var alone time.Time // since when there has been no runtime; zero: there is one
	err = app.Await(ctx, func() (bool, error) {
		if s, err = app.Status(n); err != nil || s.State.Decided() {
			return err == nil, err
		}
		switch {
		case !app.Exists():
			return false, volume.ErrNoApp
		case app.Volume().Claimed(volume.RoleApp):
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

// shared is a writer that goroutines share.
type shared struct {
	mu sync.Mutex
	io.Writer
}

func (s *shared) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.Writer.Write(p)
}
