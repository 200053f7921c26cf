//go:build linux

package main

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"paas/lab/proc"
)

// answer is the result of one request.
type answer struct {
	Asked time.Time     // when the request was due; a busy machine may have sent it later
	Took  time.Duration // since then
	Err   error
}

// visits sums up answers.
type visits struct {
	Requests, Failed     int
	Median, P99, Slowest time.Duration // of the successful requests
	FirstFailure         string        `json:",omitempty"`
}

// visit sends perSecond requests a second, evenly, until ctx ends, without waiting for earlier
// answers. Half of them use kept connections, the others new ones. It waits for the last answers.
func visit(ctx context.Context, t target, perSecond int) []answer {
	var mu sync.Mutex
	var wg sync.WaitGroup
	var all []answer
	kept, fresh := t.client(true), t.client(false)
	defer kept.CloseIdleConnections()
	start := time.Now()
	for n := 0; ; n++ {
		due := start.Add(time.Duration(n) * time.Second / time.Duration(perSecond))
		if proc.Wait(ctx, time.Until(due)) != nil || ctx.Err() != nil {
			break
		}
		web := kept
		if n%2 == 1 {
			web = fresh
		}
		wg.Go(func() {
			_, err := get(context.WithoutCancel(ctx), web, t, "/")
			a := answer{Asked: due, Took: time.Since(due), Err: err}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, a)
		})
	}
	wg.Wait()
	return all
}

// sum sums up the answers.
func sum(all []answer) visits {
	v := visits{Requests: len(all)}
	var took []time.Duration
	for _, a := range all {
		if a.Err == nil {
			took = append(took, a.Took)
			continue
		}
		v.Failed++
		if v.FirstFailure == "" {
			v.FirstFailure = fmt.Sprint(a.Err)
		}
	}
	if len(took) > 0 {
		v.Median, v.P99 = median(took, itself), percentile(took, itself, 99)
		v.Slowest = slices.Max(took)
	}
	return v
}
