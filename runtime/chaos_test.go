package runtime

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"paas/engine"
	"paas/engine/enginetest"
	"paas/volume"
)

// No two versions of a worker run at once, no matter what happens while a release proves itself. In
// the end the processes, the state that visitors see and the volume agree.
func TestChaos(t *testing.T) {
	first := uint64(time.Now().UnixNano())
	seeds := uint64(15)
	if testing.Short() {
		seeds = 4
	}
	for seed := first; seed < first+seeds && !t.Failed(); seed++ {
		synctest.Test(t, func(t *testing.T) {
			c := newChaos(t, seed)
			for range 120 {
				time.Sleep(time.Duration(c.IntN(1000)) * time.Millisecond)
				c.happen()
			}
			c.settle()
			c.check()
			if t.Failed() {
				t.Logf("seed %d: %s", seed, strings.Join(c.story, ", "))
			}
		})
	}
}

// chaos is a stage with random events.
type chaos struct {
	*stage
	*rand.Rand
	done  func() // releases the turn; nil: the test does not hold it
	n     int    // the release that is being made; 0: none
	full  bool   // the disk is full
	story []string
}

func newChaos(t *testing.T, seed uint64) *chaos {
	c := &chaos{stage: newStage(t), Rand: rand.New(rand.NewPCG(seed, 0))}
	c.processes = map[string]string{"web": "x", "worker": "y"}
	c.ends = func(p *enginetest.Process) (engine.Exit, bool) {
		for _, a := range c.all {
			if p.Type == "worker" && strings.Contains(a.Name, "worker") && a.Release != p.Release && !a.Ended() {
				t.Errorf("%s runs as the worker of v%d starts", a.Name, p.Release)
			}
		}
		return engine.Exit{}, false
	}
	c.set(func(now *volume.Wanted) {
		now.Formation = map[string]int{"web": 1 + c.IntN(2), "worker": c.IntN(3)}
		now.Sleep = time.Duration(c.IntN(2)) * 2 * time.Second
	})
	c.proves(2 * time.Second)
	c.stop = c.run()
	return c
}

// one returns true with probability 1/in.
func (c *chaos) one(in int) bool { return c.IntN(in) == 0 }

func (c *chaos) tell(format string, args ...any) {
	c.story = append(c.story, fmt.Sprintf(format, args...))
}

// happen makes one random event happen.
func (c *chaos) happen() {
	c.takesTime()
	switch c.IntN(16) {
	case 0, 1, 2, 3, 4, 5:
		if !c.full && (c.n == 0 || c.one(15)) {
			c.publishes()
		}
	case 6, 7, 8, 9:
		if now, _ := c.app.Status(c.n); c.n > 0 && now.State == volume.Ready && c.app.Commit(c.n) == nil {
			c.tell("commit v%d", c.n)
			c.n = 0
		}
	case 10:
		if c.n > 0 && c.one(3) && c.app.Cancel(c.n, "enough", volume.Remedy{}) == nil {
			c.tell("cancel v%d", c.n)
			c.n = 0
		}
	case 11:
		if c.n == 0 || c.one(6) {
			c.tell("the maker leaves")
			c.leaves()
		}
	case 12, 13:
		c.dies()
	case 14:
		if c.one(2) {
			c.tell("the server starts again")
			c.fill(false)
			c.stop()
			c.stop = c.run()
		}
	case 15:
		c.fill(!c.full)
	}
}

// takesTime makes workers that start from now on take up to 4 s to stop.
func (c *chaos) takesTime() {
	linger := make(chan struct{})
	time.AfterFunc(time.Duration(c.IntN(4000))*time.Millisecond, func() { close(linger) })
	c.mu.Lock()
	defer c.mu.Unlock()
	c.linger = linger
}

func (c *chaos) publishes() {
	if c.done == nil {
		done, ok := c.app.TryTurn("the test")
		if !ok { // the pruner holds it
			return
		}
		c.done = done
	}
	c.n = c.publish()
	c.tell("publish v%d", c.n)
}

func (c *chaos) leaves() {
	if c.done != nil {
		c.done()
		c.app.Ring()
	}
	c.done, c.n = nil, 0
}

// fill fills the disk, or frees it again.
func (c *chaos) fill(full bool) {
	if c.full != full {
		c.tell("the disk is full: %v", full)
		c.breakDisk(full)
		c.full = full
	}
}

// dies ends a random process. The engine reports later how it ended.
func (c *chaos) dies() {
	c.mu.Lock()
	defer c.mu.Unlock()
	var alive []*enginetest.Process
	for _, a := range c.all {
		if !a.Ended() && !a.Left() {
			alive = append(alive, a)
		}
	}
	if len(alive) == 0 {
		return
	}
	a := alive[c.IntN(len(alive))]
	exit := engine.Exit{}
	if !c.one(3) {
		exit.Code = 3
	}
	c.tell("%s ends: %v", a.Name, exit)
	a.Leave()
	time.AfterFunc(time.Duration(c.IntN(800))*time.Millisecond, func() { a.End(exit) })
}

// settle waits until nothing changes any more.
func (c *chaos) settle() {
	c.fill(false)
	c.set(func(now *volume.Wanted) { now.Sleep = 0 })
	c.leaves()
	time.Sleep(2 * lookAgain)
	synctest.Wait()
}

// check checks that the processes, the visitors' state and the volume agree.
func (c *chaos) check() {
	live := c.app.Live()
	for _, n := range c.app.Numbers() {
		now, err := c.app.Status(n)
		if err != nil || !now.State.Over() || (now.State == volume.Live) != (n == live) {
			c.t.Errorf("v%d is %s, v%d is live: %v", n, now.State, live, err)
		}
		accepted := now.State == volume.Live || now.State == volume.Retired
		if accepted != c.app.Committed(n) && now.State != volume.Failed {
			c.t.Errorf("v%d is %s; committed: %v", n, now.State, !accepted)
		}
		r, err := c.app.Release(n)
		if err != nil {
			c.t.Error(err)
		}
		if _, err := os.Stat(c.app.BuildTree(r.Build)); n == live && err != nil || !accepted && err == nil {
			c.t.Errorf("the build of v%d, which is %s: %v", n, now.State, err)
		}
	}
	settings, _ := c.app.Wanted()
	want := []string{}
	for _, p := range places([]string{"web", "worker"}, settings.Formation, nil) {
		if live > 0 {
			want = append(want, fmt.Sprintf("%s of v%d", p, live))
		}
	}
	if got := c.running(); got != strings.Join(want, ", ") {
		c.t.Errorf("runs %s, not %s", got, want)
	}
	c.mu.Lock()
	if (c.state == Running) != (live > 0) {
		c.t.Errorf("the state for visitors is %s, v%d is live", c.state, live)
	}
	c.mu.Unlock()
	c.stop()
	for _, a := range c.all {
		if !a.Ended() {
			c.t.Errorf("%s runs on", a.Name)
		}
	}
}
