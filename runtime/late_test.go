package runtime

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"paas/formation"
	"paas/volume"
)

// serving is a web process that runs, on a stage without a runtime: the test is the app's goroutine.
func (s *stage) serving(ctx context.Context) (*home, *member) {
	h := newHome(&Runtime{Volume: s.app.Volume(), Engine: s, Front: s, Log: slog.New(slog.DiscardHandler)}, s.app)
	h.live = newInstance(h, 1)
	m := newMember(h.live, place{formation.Web, 1}, formation.Web, volume.Wanted{})
	h.live.members[m.place] = m
	if err := m.start(ctx); err != nil {
		s.t.Fatal(err)
	}
	m.serving(ctx)
	return h, m
}

// What a check says of a process that has died, or is being ended, does not bring it back into the traffic.
func TestChecksThatComeTooLate(t *testing.T) {
	for name, end := range map[string]func(*home, *member){
		"died":        func(_ *home, m *member) { m.current().Stop(0); m.died(context.Background(), errExited) },
		"being ended": func(_ *home, m *member) { m.fell(m.current(), errors.New("not alive")) },
	} {
		s := newStage(t)
		h, m := s.serving(t.Context())
		p := m.current()
		m.fits(p, errors.New("not ready"))
		end(h, m)
		state := m.status.State
		m.fits(p, nil)
		if m.status.State != state || len(s.routes[len(s.routes)-1]) > 0 {
			t.Errorf("%s: %s, then %s and sent requests: %q", name, state, m.status.State, s.routes)
		}
		m.fits(p, errors.New("not ready"))
		m.reason = nil
		m.fell(p, errors.New("not alive"))
		if m.status.State != state || m.reason != nil {
			t.Errorf("%s: %s, then %s, with %v", name, state, m.status.State, m.reason)
		}
		close(h.ended)
		h.stopping.Wait()
		m.stop(0)
	}
}

// A process that ran for long and is then found not alive, or not ready, has not died again and again.
func TestDeathsFarBetween(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		ctx, cancel := context.WithCancel(t.Context())
		h, m := s.serving(ctx)
		for range downAfter + 1 {
			time.Sleep(time.Hour)
			p := m.current()
			m.fits(p, errors.New("not ready"))
			m.fell(p, errors.New("not alive"))
			(<-h.posts)() // it has exited
			(<-h.posts)() // nothing is left of it
			if m.deaths != 1 {
				t.Errorf("%d deaths in a row", m.deaths)
			}
			(<-h.posts)() // it is started anew
		}
		cancel()
		close(h.ended)
		h.stopping.Wait()
		m.stop(0)
	})
}
