package sidecar

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"paas/remote"
	"paas/volume"
)

func TestPause(t *testing.T) {
	for _, c := range []struct {
		every, down time.Duration
		dice        float64
		want        time.Duration
	}{
		{10 * time.Second, 0, 0, 9 * time.Second},
		{10 * time.Second, 0, 0.5, 10 * time.Second},
		{10 * time.Second, 30 * time.Second, 0.5, 10 * time.Second},
		{10 * time.Second, time.Minute, 0.5, 15 * time.Second},
		{10 * time.Second, 20 * time.Minute, 0.5, 5 * time.Minute},
		{10 * time.Second, 1 << 62, 0.5, 5 * time.Minute},
		{time.Second, 20 * time.Second, 0.5, 5 * time.Second},
		{time.Second, 1 << 62, 0, 270 * time.Second},
		{time.Hour, 0, 0.5, time.Hour},
		{time.Hour, 24 * time.Hour, 0.5, time.Hour},
		{24 * time.Hour, 1 << 62, 0.5, 24 * time.Hour},
	} {
		if got := untilNext(c.every, c.down, c.dice); got.Round(time.Millisecond) != c.want {
			t.Errorf("untilNext(%s, %s, %g) = %s, want %s", c.every, c.down, c.dice, got, c.want)
		}
	}
	if got := untilNext(10*time.Second, 0, 0.999999); got <= 10900*time.Millisecond ||
		got > 11*time.Second {
		t.Errorf("the longest pause is %s", got)
	}
	for down, want := range map[time.Duration]time.Duration{
		0: time.Second, 20 * time.Second: time.Second, time.Minute: 3 * time.Second,
		10 * time.Minute: 30 * time.Second, 1 << 62: 30 * time.Second,
	} {
		if got := probePause(down, 0.5); got.Round(time.Millisecond) != want {
			t.Errorf("probePause(%s) = %s, want %s", down, got, want)
		}
	}
}

// diary is a Remote that records when it was asked for what, and answers as the test wants.
type diary struct {
	mu     sync.Mutex
	asked  map[string][]time.Time // by URL, or by host for probes
	answer func(ctx context.Context, url string) (commit string, err error)
	reach  func() error // nil: nothing listens anywhere
}

func (d *diary) Head(ctx context.Context, r remote.Remote, _ remote.Ref) (remote.Head, error) {
	d.mu.Lock()
	d.asked[r.URL] = append(d.asked[r.URL], time.Now())
	d.mu.Unlock()
	commit, err := d.answer(ctx, r.URL)
	return remote.Head{Name: "main", Commit: commit}, err
}

func (d *diary) Fetch(context.Context, remote.Remote, remote.Ref, string) (string, error) {
	return "", errors.New("nothing is to be fetched here")
}

func (d *diary) Reach(_ context.Context, host string) error {
	d.mu.Lock()
	d.asked[host] = append(d.asked[host], time.Now())
	d.mu.Unlock()
	if d.reach == nil {
		return errors.New("nothing listens there")
	}
	return d.reach()
}

func (d *diary) times(url string) []time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.asked[url]
}

func newDiary(answer func(ctx context.Context, url string) (string, error)) *diary {
	return &diary{asked: map[string][]time.Time{}, answer: answer}
}

// settled makes an app whose source is at the commit that was decided on. Its URL is its name
// unless one is given.
func (s *stage) settled(name string, every time.Duration, url ...string) volume.App {
	app := s.app(name, volume.Source{URL: append(url, name)[0], Every: every})
	source, _, err := app.Source()
	if err == nil {
		err = app.SetSourceStatus(volume.SourceStatus{Source: source.ID, Commit: name})
	}
	if err != nil {
		s.t.Fatal(err)
	}
	return app
}

func here(_ context.Context, url string) (string, error) { return url, nil }

// bubble runs a sidecar in a bubble in which time passes when nothing else is left to do.
func bubble(t *testing.T, d *diary, set func(s *stage), live func(s *stage)) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t, d)
		s.Volume.Poll = time.Second
		s.minPause = defaultMinPause
		set(s)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- s.Run(ctx) }()
		synctest.Wait()
		live(s)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// After a start the polls of sources are spread over their first interval; then each is polled once
// in each interval, give or take a tenth.
func TestPeriod(t *testing.T) {
	const apps, every = 20, 10 * time.Second
	d := newDiary(here)
	bubble(t, d, func(s *stage) {
		for i := range apps {
			s.settled(fmt.Sprint("app", i), every)
		}
	}, func(s *stage) {
		start := time.Now()
		time.Sleep(10 * every)
		together := map[time.Duration]int{}
		for i := range apps {
			at := d.times(fmt.Sprint("app", i))
			if len(at) < 9 || at[0].Sub(start) > every {
				t.Fatalf(
					"app%d: %d looks in %s, the first after %s", i, len(at), 10*every,
					at[0].Sub(start),
				)
			}
			together[at[0].Sub(start).Truncate(time.Second)]++
			for i, next := range at[1:] {
				if gap := next.Sub(at[i]); gap < every*9/10 || gap > every*11/10 {
					t.Errorf("%s between two looks", gap)
				}
			}
		}
		if len(together) < 5 {
			t.Errorf("%d sources are looked at together: %v", apps, together)
		}
	})
}

// A source that is set is polled at once, and so is one that is changed.
func TestSetAtOnce(t *testing.T) {
	d := newDiary(here)
	bubble(t, d, func(s *stage) {}, func(s *stage) {
		app := s.settled("blog", rarely)
		time.Sleep(2 * time.Second)
		if n := len(d.times("blog")); n != 1 {
			t.Errorf("%d looks at a new source", n)
		}
		if err := app.SetSource(volume.Source{URL: "other", Every: rarely}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		if n := len(d.times("other")); n != 1 {
			t.Errorf("%d looks at a changed source", n)
		}
		if err := app.SetSource(volume.Source{URL: "other", Every: time.Second}); err != nil {
			t.Fatal(err)
		}
		time.Sleep(5 * time.Second)
		if err := app.UnsetSource(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		n := len(d.times("other"))
		time.Sleep(time.Minute)
		if now := len(d.times("other")); now != n {
			t.Errorf("%d looks at a source that was unset", now-n)
		}
		if h := s.Health(); h.Sources != 0 || !h.OK {
			t.Errorf("%+v", h)
		}
	})
}

// A source that fails is polled less and less often, and the failure is logged once. A success ends
// that.
func TestBackoff(t *testing.T) {
	var mu sync.Mutex
	trouble, n := true, 0
	d := newDiary(func(context.Context, string) (string, error) {
		mu.Lock()
		defer mu.Unlock()
		if n++; trouble {
			return "", fmt.Errorf("read tcp 127.0.0.1:%d: connection reset", 40000+n)
		}
		return "blog", nil
	})
	bubble(t, d, func(s *stage) { s.settled("blog", 10*time.Second) }, func(s *stage) {
		time.Sleep(time.Hour)
		at := d.times("blog")
		for i, next := range at[1:] {
			want := min(max(10*time.Second, at[i].Sub(at[0])/4), 5*time.Minute)
			if gap := next.Sub(at[i]); gap < want*9/10 || gap > want*11/10 {
				t.Errorf("gap %d is %s, want about %s", i, gap, want)
			}
		}
		if len(at) > 40 {
			t.Errorf("%d looks in an hour", len(at))
		}
		app, _ := s.Volume.App("blog")
		l := looked(t, app)
		contains(t, l.Error, "connection reset")
		if l.Commit != "blog" || l.Since.Sub(at[0]) > time.Second ||
			time.Since(l.At) > 6*time.Minute {
			t.Errorf("%+v", l)
		}
		if said := s.log.count("connection reset"); said != 1 {
			t.Errorf("said %d times:\n%s", said, s.log.text.String())
		}
		if h := s.Health(); !h.OK {
			t.Errorf("an upstream in trouble is not our ill health: %+v", h)
		}
		mu.Lock()
		trouble = false
		mu.Unlock()
		time.Sleep(6 * time.Minute)
		before := len(d.times("blog"))
		time.Sleep(10 * time.Minute)
		if n := len(d.times("blog")) - before; n < 54 || n > 67 {
			t.Errorf("%d looks in 10 minutes after it is well again", n)
		}
		if l := looked(t, app); l.Error != "" || l.Commit != "blog" {
			t.Errorf("%+v", l)
		}
		if s.log.count("synced again") != 1 {
			t.Error("the log does not say that all is well")
		}
	})
}

// Sources that hang until their deadline, however many, delay one that answers only the first time.
func TestHanging(t *testing.T) {
	d := newDiary(func(ctx context.Context, url string) (string, error) {
		if strings.HasPrefix(url, "hangs") {
			<-ctx.Done()
			return "", ctx.Err()
		}
		return url, nil
	})
	bubble(t, d, func(s *stage) {
		for i := range 3 * maxPolls {
			s.settled(fmt.Sprint("hangs", i), 10*time.Second)
		}
	}, func(s *stage) {
		time.Sleep(10 * time.Minute)
		s.settled("blog", 10*time.Second)
		time.Sleep(10 * time.Minute)
		at := d.times("blog")
		for i, next := range at[1:] {
			if gap := next.Sub(at[i]); gap > 11*time.Second {
				t.Errorf("%s between two looks", gap)
			}
		}
		if len(at) < 54 {
			t.Errorf("%d looks in 10 minutes", len(at))
		}
	})
}

// However often others ask, a source is polled once a second at most.
func TestAskedOften(t *testing.T) {
	d := newDiary(here)
	bubble(t, d, func(s *stage) { s.settled("blog", rarely) }, func(s *stage) {
		f := s.follower("blog")
		for range 1000 {
			f.asked.ring()
			time.Sleep(10 * time.Millisecond)
		}
		time.Sleep(time.Minute)
		at := d.times("blog")
		if len(at) < 10 || len(at) > 11 {
			t.Errorf("%d looks in 10 s", len(at))
		}
		for i, next := range at[1:] {
			if gap := next.Sub(at[i]); gap < time.Second {
				t.Errorf("%s between two looks", gap)
			}
		}
	})
}

// A source whose polls do not end, not even at their deadline, is behind, and the sidecar is not
// healthy.
func TestBehind(t *testing.T) {
	release := make(chan struct{})
	d := newDiary(func(_ context.Context, url string) (string, error) {
		if url == "stuck" {
			<-release // whatever ctx says
		}
		return url, nil
	})
	bubble(t, d, func(s *stage) {
		release = make(chan struct{}) // of the bubble
		s.settled("blog", 10*time.Second)
		s.settled("stuck", 10*time.Second)
	}, func(s *stage) {
		time.Sleep(40 * time.Second)
		if h := s.Health(); !h.OK || h.Sources != 2 {
			t.Errorf("at once: %+v", h)
		}
		time.Sleep(time.Minute)
		if h := s.Health(); h.OK || !h.Running || len(h.Behind) != 1 || h.Behind[0] != "stuck" {
			t.Errorf("%+v", h)
		}
		close(release)
		time.Sleep(time.Second)
		if h := s.Health(); !h.OK {
			t.Errorf("after it came back: %+v", h)
		}
	})
}
