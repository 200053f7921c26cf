//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"
)

func TestFormed(t *testing.T) {
	process := func(kind string, release int, state string) string {
		return fmt.Sprintf(`{"type":%q,"release":%d,"state":%q},`, kind, release, state)
	}
	web, worker := process("web", 2, "running"), process("worker", 2, "running")
	for name, c := range map[string]struct {
		list string
		want bool
	}{
		"all":                 {web + web + web + worker + worker, true},
		"none":                {"", false},
		"a web missing":       {web + web + worker + worker, false},
		"a worker missing":    {web + web + web + worker, false},
		"five of the wrong":   {web + web + worker + worker + worker, false},
		"one starts":          {web + web + web + worker + process("worker", 2, "starting"), false},
		"an old one stops":    {web + web + web + worker + worker + process("web", 1, "stopping"), false},
		"an old one runs":     {web + web + web + worker + process("worker", 1, "running"), false},
		"a command runs":      {web + web + web + worker + worker + process("run", 2, "running"), false},
		"one more than asked": {web + web + web + web + worker + worker, false},
	} {
		list := "[" + c.list
		if c.list != "" {
			list = list[:len(list)-1]
		}
		if got, err := formed([]byte(list+"]"), 2); got != c.want || err != nil {
			t.Errorf("%s: %v, %v", name, got, err)
		}
	}
	if _, err := formed([]byte("[{"), 2); err == nil {
		t.Error("half a list, and no error")
	}
}

// A request counts as during a deploy if any of its time is.
func TestPart(t *testing.T) {
	at := func(seconds int) time.Time { return time.Unix(int64(seconds), 0) }
	deploys := []span{{at(10), at(20)}, {at(30), at(40)}}
	for name, c := range map[string]struct {
		asked, answered int
		want            bool
	}{
		"before":        {1, 9, false},
		"into it":       {9, 11, true},
		"within":        {12, 13, true},
		"out of it":     {19, 25, true},
		"between":       {21, 29, false},
		"all around it": {25, 45, true},
		"second":        {31, 32, true},
		"after":         {41, 42, false},
	} {
		one := []answer{{Asked: at(c.asked), Took: at(c.answered).Sub(at(c.asked))}}
		during, between := part(one, deploys)
		if got := len(during) == 1; got != c.want || len(during)+len(between) != 1 {
			t.Errorf("%s: %d during, %d between", name, len(during), len(between))
		}
	}
}

// A failed request does not count as a fast or slow answer.
func TestSum(t *testing.T) {
	all := []answer{{Took: time.Hour, Err: errors.New("status 502")},
		{Took: 0, Err: errors.New("EOF")}}
	for i := range 100 {
		all = append(all, answer{Took: time.Duration(i+1) * time.Millisecond})
	}
	want := visits{Requests: 102, Failed: 2, Median: 50 * time.Millisecond, P99: 99 * time.Millisecond,
		Slowest: 100 * time.Millisecond, FirstFailure: "status 502"}
	if got := sum(all); got != want {
		t.Errorf("%+v", got)
	}
	if got := sum(all[:1]); got.Failed != 1 || got.P99 != 0 {
		t.Errorf("no answers: %+v", got)
	}
}

// Requests are sent on time although earlier ones wait, and those in flight at the end still get
// their answer. Each counts once.
func TestVisit(t *testing.T) {
	const n = 20
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var asked atomic.Int64
	over := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if asked.Add(1) == n {
			cancel()
			close(over)
		}
		select {
		case <-over:
		case <-r.Context().Done():
		}
		if r.Host != "team.localhost" {
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer server.Close()
	start := time.Now()
	all := visit(ctx, target{addr: server.Listener.Addr().String(), host: "team.localhost"}, 200)
	got := sum(all)
	if int64(got.Requests) != asked.Load() || got.Requests < n || got.Failed > 0 {
		t.Errorf("%d asked for: %+v", asked.Load(), got)
	}
	if due := int(time.Since(start)*200/time.Second) + 1; got.Requests > due {
		t.Errorf("%d requests where %d were due", got.Requests, due)
	}
	if got.Slowest < (n-2)*time.Second/200 {
		t.Errorf("the first request waited for the last, and yet the slowest took %s", got.Slowest)
	}
}
