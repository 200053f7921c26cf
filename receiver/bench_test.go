package receiver

import (
	"fmt"
	"testing"
	"time"
)

// BenchmarkPush measures a small push, git push to its end, and what its phases take:
//
//	upload     start of git push to pre-receive: ssh's stand-in, the pack, git's own checks, the hook's start
//	inspect    judging, turn, inspection, checkout, publishing
//	verdict    the runtime (here a fake one that does nothing), and what was written put on disk
//	move       git moves the branch and starts post-receive
//	commit     the release is committed
//	end        live, and the end of git push
func BenchmarkPush(b *testing.B) {
	marks := map[string]time.Time{}
	s := newServer(
		b, func(r *Receiver) { r.breakpoint = func(where string) { marks[where] = time.Now() } },
	)
	c := s.newClone("blog")
	c.git("push", "paas", "main")
	order := []string{"asked", "published", "concluded", "moved", "committed"}
	names := []string{"upload", "inspect", "verdict", "move", "commit"}
	sums := make([]time.Duration, len(order)+1)
	n := 0
	for b.Loop() {
		b.StopTimer()
		c.commit("next", "a", fmt.Sprint(n))
		b.StartTimer()
		n++
		start := time.Now()
		c.git("push", "-q", "paas", "main")
		last := start
		for i, where := range order {
			sums[i] += marks[where].Sub(last)
			last = marks[where]
		}
		sums[len(order)] += time.Since(last)
	}
	for i, name := range append(names, "end") {
		b.ReportMetric(float64(sums[i].Microseconds())/1e3/float64(n), name+"-ms")
	}
}
