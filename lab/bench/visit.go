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

// answer is what became of one request.
type answer struct {
	Asked time.Time     // when it was due, which is when it was sent unless the machine was too busy to
	Took  time.Duration // since then
	Err   error
}

// visits is what visitors noticed.
type visits struct {
	Requests, Failed     int
	Median, P99, Slowest time.Duration // of those that were answered
	FirstFailure         string        `json:",omitempty"`
}

// visit sends that many requests a second, evenly, until ctx ends, whatever became of those before:
// half of them over connections that are kept, half over new ones. It waits for the last answers.
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

// sum counts what visitors noticed.
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
