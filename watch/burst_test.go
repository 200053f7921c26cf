package watch

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

// Each case lists events at times in ms, and when the burst should be over. The clock is
// synctest's, and a timer waits as in the runner.
func TestBurst(t *testing.T) {
	at := func(from, to, step int) (list []int) {
		for ; from < to; from += step {
			list = append(list, from)
		}
		return list
	}
	for _, c := range []struct {
		name   string
		events []int
		same   bool // always the same path
		more   bool
		delay  int
		want   []int
	}{
		{name: "one save", events: []int{0}, delay: 300, want: []int{10}},
		{name: "an editor's writes", events: []int{0, 1, 2}, delay: 300, want: []int{12}},
		{name: "two saves", events: []int{0, 500}, delay: 300, want: []int{10, 510}},
		{name: "one file written for a while", events: at(0, 100, 5), same: true, delay: 300,
			want: []int{105}},
		{name: "save all", events: []int{0, 1, 2, 3}, delay: 300, want: []int{303}},
		{name: "2,000 files in 6 s", events: at(0, 6000, 3), delay: 300, want: []int{6297}},
		{name: "a checkout with pauses", events: append(append(at(0, 20, 2), at(200, 220, 2)...),
			500), delay: 300, want: []int{800}},
		{name: "more is expected", events: at(0, 1000, 100), more: true, delay: 300,
			want: []int{1200}},
		{name: "a log that grows", events: at(0, 5000, 7), same: true, delay: 300,
			want: []int{2000, 4002, 5008}},
		{name: "files without end", events: at(0, 70000, 7), delay: 300,
			want: []int{30000, 60002, 70293}},
		{name: "no delay", events: at(0, 10, 1), delay: 0, want: at(0, 10, 1)},
		{name: "a delay below the shortest", events: []int{0}, delay: 5, want: []int{5}},
		{name: "a delay beyond all limits", events: []int{0, 1, 2, 3}, delay: 60000,
			want: []int{60000}},
	} {
		synctest.Test(t, func(t *testing.T) {
			begin := time.Now()
			b := burst{delay: time.Duration(c.delay) * time.Millisecond}
			events := make(chan int)
			go func() {
				defer close(events)
				for i, ms := range c.events {
					time.Sleep(time.Until(begin.Add(time.Duration(ms) * time.Millisecond)))
					events <- i
				}
			}()
			var got []int
			timer := time.NewTimer(0)
			defer timer.Stop()
			for open := true; open || b.pending(); {
				timer.Reset(time.Hour)
				if b.pending() {
					timer.Reset(time.Until(b.due()))
				}
				select {
				case _, ok := <-events:
					if open = ok; !open {
						events = nil
						continue
					}
					if c.more {
						b.expectMore()
					}
					b.add(time.Now(), !c.same || !b.pending())
				case <-timer.C:
					got = append(got, int(time.Since(begin)/time.Millisecond))
					b.reset()
				}
			}
			if fmt.Sprint(got) != fmt.Sprint(c.want) {
				t.Errorf("%s: over at %v ms, not %v", c.name, got, c.want)
			}
		})
	}
}
