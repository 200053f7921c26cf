package runtime

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"paas/rig"
	"paas/volume"
)

// While a worker is slow to stop, other requests do not make its successor start early: it waits
// until the worker has ended.
func TestNoTwoWorkersDoTheSame(t *testing.T) {
	one, none := map[string]int{"worker": 1}, map[string]int{"worker": 0}
	for name, ask := range map[string]func(*stage){
		"scaled to none and back": func(s *stage) {
			s.set(func(now *volume.Wanted) { now.Formation = none })
			s.runs("web.1 of v1, worker.1 is stopping")
			s.set(func(now *volume.Wanted) { now.Formation = one })
		},
		"restarted, then deployed": func(s *stage) {
			s.set(func(now *volume.Wanted) { now.Restarts = map[string]string{"worker": "a"} })
			rig.Eventually(s.t, "it is restarted", func() bool { return strings.Contains(s.running(), "worker.1 is stopping") })
			s.deploy()
		},
		"stopped, then deployed": func(s *stage) {
			s.set(func(now *volume.Wanted) { now.Stopped = 1 })
			rig.Eventually(s.t, "it is stopped", func() bool { return s.running() == "worker.1 is stopping" })
			s.deploy()
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t)
			s.processes = map[string]string{"web": "x", "worker": "y"}
			s.set(func(now *volume.Wanted) { now.Formation = one })
			linger := make(chan struct{})
			end := sync.OnceFunc(func() { close(linger) })
			s.linger = linger
			s.turn()
			s.run()
			t.Cleanup(end) // before the runtime is stopped
			s.deploy()
			s.runs("web.1 of v1, worker.1 of v1")
			workers := func() (n int) {
				for _, name := range s.names() {
					if strings.Contains(name, "worker.1") {
						n++
					}
				}
				return n
			}
			ask(s)
			for range 10 { // each makes the app reconcile
				s.app.Ring()
				time.Sleep(5 * time.Millisecond)
			}
			if n := workers(); n != 1 {
				t.Errorf("%d workers were started: %q", n, s.names())
			}
			end()
			s.runs(fmt.Sprintf("web.1 of v%d, worker.1 of v%[1]d", s.app.Live()))
		})
	}
}
