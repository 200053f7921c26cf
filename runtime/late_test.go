package runtime

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"paas/formation"
	"paas/volume"
)

// serving returns a web process that serves, on a stage without a runtime: the test is the app's
// goroutine.
func (s *stage) serving(ctx context.Context) (*appLoop, *member) {
	h := newLoop(s.runtime(), s.app)
	go h.rt.Engine.Watch(ctx, func(string) { h.units.refresh() })
	h.live = newInstance(h, 1)
	h.live.built.Processes = map[string]string{formation.Web: "x"}
	m := newMember(h.live, place{formation.Web, 1}, formation.Web, volume.Wanted{})
	h.live.members[m.place] = m
	h.units.want(volume.Wanted{}, m)
	p, err := m.healthy(ctx, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	m.serve(ctx, p)
	go m.follow(ctx, p)
	return h, m
}

// leaves ends the loop and the process that serving returned.
func (s *stage) leaves(h *appLoop, m *member) {
	close(h.ended)
	h.units.drop(m, 0)
	<-m.gone
	h.stopping.Wait()
}

// A late check result does not give traffic to a process that has ended or is being ended.
func TestChecksThatComeTooLate(t *testing.T) {
	for name, end := range map[string]func(*stage, *member){
		"died": func(s *stage, m *member) {
			s.actor(1).End(crash)
			<-m.proc.done
			m.died(m.proc, crash)
		},
		"being ended": func(_ *stage, m *member) { m.failLiveness(m.proc, errors.New("not alive")) },
	} {
		s := newStage(t)
		h, m := s.serving(t.Context())
		p := m.proc
		m.setReadiness(p, errors.New("not ready"))
		end(s, m)
		state := m.status.State
		m.setReadiness(p, nil)
		if m.status.State != state || len(s.routes[len(s.routes)-1]) > 0 {
			t.Errorf("%s: %s, then %s and sent requests: %q", name, state, m.status.State, s.routes)
		}
		m.setReadiness(p, errors.New("not ready"))
		m.failLiveness(p, errors.New("not alive"))
		if m.status.State != state {
			t.Errorf("%s: %s, then %s", name, state, m.status.State)
		}
		s.leaves(h, m)
	}
}

// A process that runs for long each time before it fails a check is not in a crash loop.
func TestDeathsFarBetween(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStage(t)
		ctx, cancel := context.WithCancel(t.Context())
		h, m := s.serving(ctx)
		for range downAfter + 1 {
			time.Sleep(time.Hour)
			m.setReadiness(m.proc, errors.New("not ready"))
			m.failLiveness(m.proc, errors.New("not alive"))
			(<-h.posts)() // the process has exited
			(<-h.posts)() // the process has ended
			if m.deaths != 1 {
				t.Errorf("%d deaths in a row", m.deaths)
			}
			(<-h.posts)() // the next process has started
		}
		s.leaves(h, m)
		cancel()
	})
}
