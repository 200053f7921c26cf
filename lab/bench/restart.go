//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"paas/lab/proc"
)

const (
	slowAnswer  = 3 * time.Second         // of the backend's page /slow
	slowAtOnce  = 4                       // visitors of that page, and as many with websockets
	betweenEach = 2500 * time.Millisecond // from the end of one restart to the next; see keeper's pauses
)

// restartResult has what visitors notice of the server's own restarts.
type restartResult struct {
	Runs []*restarts
	// Keeper is the memory of the process that holds the apps, after all restarts.
	Keeper memory
}

// restarts are several restarts of one kind with visitors at one rate.
type restarts struct {
	Kind      string
	PerSecond int
	Times     int

	Visits   visits        // half over kept connections
	InFlight int           // of the failed ones, asked before the server was killed
	Slow     visits        // requests of three seconds
	Sockets  visits        // connections of three seconds that were upgraded
	Moved    int           // restarts after which the app had another process
	Took     time.Duration // the median time until the new server serves; after a kill, until it answers
	Waited   time.Duration // the slowest answer to a request that was asked after a kill
}

// measureRestart restarts the server in three ways while visitors ask: as planned, with another
// binary in its place, and by kill -9.
func measureRestart(ctx context.Context, o options, c *client) (*restartResult, error) {
	binary := filepath.Join(c.dir, "paas")
	if err := proc.Replace(binary, o.Paas); err != nil {
		return nil, err
	}
	s, err := startServer(ctx, binary, c, nil)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	app := s.app("backend")
	if err := pushBackend(ctx, c, app); err != nil {
		return nil, err
	}
	next := [2]string{o.Next, o.Paas}
	kinds := []struct {
		name string
		once func(round int) (began time.Time, err error)
	}{
		{"planned restart", func(int) (time.Time, error) { return time.Now(), s.reload(ctx) }},
		{"upgrade", func(round int) (time.Time, error) {
			return time.Now(), errors.Join(proc.Replace(binary, next[round%2]), s.reload(ctx))
		}},
		{"kill -9", func(int) (time.Time, error) { return s.killed(ctx, app) }},
	}
	res := &restartResult{}
	for _, perSecond := range []int{50, 1000} {
		for _, kind := range kinds {
			r := &restarts{Kind: kind.name, PerSecond: perSecond, Times: o.Restarts}
			if err := r.measure(ctx, app, kind.once, kind.name == "kill -9"); err != nil {
				return nil, fmt.Errorf("%s: %w", kind.name, err)
			}
			res.Runs = append(res.Runs, r)
		}
	}
	res.Keeper, err = readMemory([]int{s.cmd.Process.Pid})
	return res, err
}

// reload restarts the server as planned, and returns once the next one serves.
func (r *server) reload(ctx context.Context) error {
	_, err := r.run(ctx, "reload")
	return err
}

// killed kills the server, but not the process that keeps its apps, and returns once an app answers.
// died is when it was killed.
func (r *server) killed(ctx context.Context, app target) (died time.Time, err error) {
	if err := syscall.Kill(r.serving(), syscall.SIGKILL); err != nil {
		return died, err
	}
	died = time.Now()
	_, err = get(ctx, app.client(false), app, "/")
	return died, err
}

// measure lets visitors ask while once restarts the server several times.
func (r *restarts) measure(
	ctx context.Context, app target, once func(int) (time.Time, error), kill bool,
) error {
	visiting, stop := context.WithCancel(ctx)
	defer stop()
	var all, slow, sockets []answer
	var wg sync.WaitGroup
	wg.Go(func() { all = visit(visiting, app, r.PerSecond) })
	wg.Go(func() { slow = repeat(visiting, func() error { return app.slow() }) })
	wg.Go(func() { sockets = repeat(visiting, func() error { return app.socket() }) })
	if err := proc.Wait(ctx, slowAnswer/2); err != nil {
		return err
	}
	type outage struct{ from, to time.Time }
	var outages []outage
	for round := range r.Times {
		progress("%s at %d requests/s, %d of %d", r.Kind, r.PerSecond, round+1, r.Times)
		before, err := get(ctx, app.client(false), app, "/pid")
		if err != nil {
			return err
		}
		from, err := once(round)
		if err != nil {
			return err
		}
		outages = append(outages, outage{from, time.Now()})
		after, err := get(ctx, app.client(false), app, "/pid")
		if err != nil {
			return err
		}
		if string(before) != string(after) {
			r.Moved++
		}
		if err := proc.Wait(ctx, betweenEach); err != nil {
			return err
		}
	}
	stop()
	wg.Wait()
	r.Visits, r.Slow, r.Sockets = sum(all), sum(slow), sum(sockets)
	r.Took = median(outages, func(o outage) time.Duration { return o.to.Sub(o.from) })
	for _, a := range all {
		for _, o := range outages {
			switch end := a.Asked.Add(a.Took); {
			case !kill || end.Before(o.from) || a.Asked.After(o.to):
			case a.Err == nil && a.Asked.After(o.from):
				r.Waited = max(r.Waited, a.Took)
			case a.Err != nil && !a.Asked.After(o.from):
				r.InFlight++
			}
		}
	}
	return ctx.Err()
}

// repeat lets some visitors do the same, each again and again, until ctx ends.
func repeat(ctx context.Context, do func() error) (all []answer) {
	var mu sync.Mutex
	var wg sync.WaitGroup
	for i := range slowAtOnce {
		wg.Go(func() {
			if proc.Wait(ctx, slowAnswer/slowAtOnce*time.Duration(i)) != nil {
				return // they begin one after another
			}
			for ctx.Err() == nil {
				asked := time.Now()
				err := do()
				mu.Lock()
				all = append(all, answer{Asked: asked, Took: time.Since(asked), Err: err})
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return all
}

// slow asks for the page that takes three seconds.
func (t target) slow() error {
	web := t.client(false)
	_, err := get(context.Background(), web, t, "/slow")
	return err
}

// socket upgrades a connection, and gets back each line that it sends, for three seconds.
func (t target) socket() error {
	conn, err := net.Dial("tcp", t.addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	conn.SetDeadline(time.Now().Add(30 * time.Second))
	fmt.Fprintf(conn, "GET /echo HTTP/1.1\r\nHost: %s\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n", t.host)
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, nil)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusSwitchingProtocols {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	const pause = 100 * time.Millisecond
	for n := range int(slowAnswer / pause) {
		sent := strconv.Itoa(n) + "\n"
		if _, err := io.WriteString(conn, sent); err != nil {
			return err
		}
		if got, err := in.ReadString('\n'); err != nil || got != sent {
			return fmt.Errorf("line %d: %q, %v", n, got, err)
		}
		time.Sleep(pause)
	}
	return nil
}

// serveSlow is the backend's page that takes three seconds.
func serveSlow(w http.ResponseWriter, r *http.Request) {
	if proc.Wait(r.Context(), slowAnswer) == nil {
		io.WriteString(w, "slow\n")
	}
}

// serveEcho upgrades the connection, and sends back what it gets.
func serveEcho(w http.ResponseWriter, _ *http.Request) {
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer conn.Close()
	io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n")
	io.Copy(conn, buffered)
}

func (r *restartResult) rows(print row) {
	for _, run := range r.Runs {
		what := fmt.Sprintf("%d of %s at %d/s: ", run.Times, run.Kind, run.PerSecond)
		failed := func(v visits) string { return fmt.Sprintf("%d of %d", v.Failed, v.Requests) }
		killed := run.Kind == "kill -9"
		target := "0"
		if killed {
			target = "only those in flight"
			print(what+"failed requests, of these in flight at the kill",
				fmt.Sprintf("%s, %d", failed(run.Visits), run.InFlight), "", "", target)
			print(what+"slowest answer to a request after a kill", ms(run.Waited), "", "", "")
			print(what+"kill to first answer, median", ms(run.Took), "", "", "at most 300 ms")
		} else {
			print(what+"failed requests", failed(run.Visits), "", "", target)
			print(what+"99th percentile / slowest answer", ms(run.Visits.P99)+" / "+ms(run.Visits.Slowest), "", "",
				"at most 300 ms")
			print(what+"until the new server serves, median", ms(run.Took), "", "", "")
		}
		print(what+"failed requests of 3 s, and connections upgraded for 3 s",
			strings.Join([]string{failed(run.Slow), failed(run.Sockets)}, ", "), "", "", target)
		print(what+"restarts with another process of the app", strconv.Itoa(run.Moved), "", "", "0")
	}
	print("memory of the keeper after these, resident / proportional",
		mb(r.Keeper.Resident, r.Keeper.Proportional), "", "", "at most 12 MB")
}
