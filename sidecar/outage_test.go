package sidecar

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"paas/rig"
	"paas/volume"
)

var errNoConnection = fmt.Errorf(
	"https://host/blog: %w", &net.OpError{Op: "dial", Net: "tcp", Err: syscall.ECONNREFUSED},
)

// dark is a Remote whose hosts cannot be reached until it is lit.
func dark() (d *diary, light func()) {
	var lit atomic.Bool
	d = newDiary(func(_ context.Context, url string) (string, error) {
		if lit.Load() {
			return url, nil
		}
		return "", errNoConnection
	})
	d.reach = func() error {
		if lit.Load() {
			return nil
		}
		return errNoConnection
	}
	return d, func() { lit.Store(true) }
}

const blog = "https://host/blog"

// after counts the times after one.
func after(at time.Time, times []time.Time) (n int) {
	for _, t := range times {
		if t.After(at) {
			n++
		}
	}
	return n
}

// A source whose host answers again is polled at once, however long its interval is. A dead host is
// not asked often: with one connection a second at first, and then less and less often.
func TestPollOnceTheHostAnswers(t *testing.T) {
	for _, c := range []struct {
		every, down, notice time.Duration
		probes, looks       int // at most
	}{
		{time.Second, 20 * time.Second, 1200 * time.Millisecond, 24, 18},
		{10 * time.Second, 20 * time.Second, 1200 * time.Millisecond, 24, 4},
		{rarely, 20 * time.Second, 1200 * time.Millisecond, 24, 1},
		{10 * time.Second, 10 * time.Minute, 33 * time.Second, 100, 20},
		{10 * time.Second, 5 * time.Hour, 33 * time.Second, 750, 110},
	} {
		d, light := dark()
		bubble(t, d, func(s *stage) {}, func(s *stage) {
			s.settled("blog", c.every, blog)
			time.Sleep(2 * time.Second) // until it is polled for the first time
			time.Sleep(c.down)
			probes, looks := len(d.times("host:443")), len(d.times(blog))
			if probes > c.probes || looks > c.looks {
				t.Errorf(
					"every %s, away for %s: %d probes and %d looks, want at most %d and %d",
					c.every, c.down, probes, looks, c.probes, c.looks,
				)
			}
			back := time.Now()
			light()
			time.Sleep(c.notice)
			if after(back, d.times(blog)) == 0 {
				t.Errorf(
					"every %s, away for %s: not looked at within %s", c.every, c.down, c.notice,
				)
			}
			probes = len(d.times("host:443"))
			time.Sleep(time.Hour)
			if more := len(d.times("host:443")) - probes; more > 0 {
				t.Errorf("%d probes of a host that answers", more)
			}
		})
	}
}

// Many sources of one host need one probe, and are not all polled in the same instant.
func TestManySourcesOfOneHost(t *testing.T) {
	const sources = 40
	d, light := dark()
	url := func(i int) string { return fmt.Sprint("https://host/", i) }
	bubble(t, d, func(s *stage) {}, func(s *stage) {
		for i := range sources {
			s.settled(fmt.Sprint("app", i), rarely, url(i))
		}
		time.Sleep(20 * time.Second)
		if n := len(d.times("host:443")); n < 15 || n > 25 {
			t.Errorf("%d probes in 20 s", n)
		}
		back := time.Now()
		light()
		time.Sleep(1200*time.Millisecond + sources*spread)
		instants := map[time.Time]bool{}
		for i := range sources {
			if after(back, d.times(url(i))) != 1 {
				t.Errorf("source %d: %d looks", i, after(back, d.times(url(i))))
			}
			at := d.times(url(i))
			instants[at[len(at)-1]] = true
		}
		if len(instants) != sources {
			t.Errorf("%d sources were looked at in %d instants", sources, len(instants))
		}
	})
}

// A host that takes connections and still cannot be reached, such as behind a redirect, is polled
// like other sources in trouble.
func TestProbeThatProvesNothing(t *testing.T) {
	d := newDiary(func(context.Context, string) (string, error) { return "", errNoConnection })
	d.reach = func() error { return nil }
	bubble(t, d, func(s *stage) {}, func(s *stage) {
		s.settled("blog", time.Minute, blog)
		time.Sleep(time.Hour)
		if n := len(d.times(blog)); n < 12 || n > 60 {
			t.Errorf("%d looks in an hour", n)
		}
	})
}

// A host is not probed for a source that is gone, or that answers with an error.
func TestNoProbes(t *testing.T) {
	d, _ := dark()
	bubble(t, d, func(s *stage) {}, func(s *stage) {
		app := s.settled("blog", rarely, blog)
		time.Sleep(10 * time.Second)
		if err := app.UnsetSource(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(2 * time.Second)
		n := len(d.times("host:443"))
		time.Sleep(time.Minute)
		if more := len(d.times("host:443")) - n; n == 0 || more > 0 {
			t.Errorf("%d probes, and %d for a source that is gone", n, more)
		}
	})
	d = newDiary(
		func(context.Context, string) (string, error) { return "", errors.New("503 Service Unavailable") },
	)
	bubble(t, d, func(s *stage) {}, func(s *stage) {
		s.settled("blog", time.Second, blog)
		time.Sleep(time.Minute)
		if n := len(d.times("host:443")); n > 0 {
			t.Errorf("%d probes of a host that answers", n)
		}
	})
}

// The restart of a real server is noticed without waiting for the interval.
func TestServerStartsAgain(t *testing.T) {
	s := newStage(t, newClient(t))
	s.runtime()
	h := newHosting(t)
	r := h.repo("blog")
	handler := h.server.Config.Handler
	host := h.server.Listener.Addr().String()
	h.server.Close()
	s.start()
	app := s.app("blog", volume.Source{URL: r.url, Every: rarely})
	rig.Eventually(t, "it is not reached", func() bool { return looked(t, app).Error != "" })
	l, err := net.Listen("tcp", host)
	if err != nil {
		t.Skip("SKIP: somebody took the port: ", err)
	}
	again := &http.Server{Handler: handler}
	go again.Serve(l)
	defer again.Close()
	rig.Eventually(t, "its commit is live", func() bool { return isLive(app, r.git("rev-parse", "HEAD")) })
}
