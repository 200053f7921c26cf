//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"paas/lab/proc"
)

const connections = 32

// routerResult has the same requests to the same small app by three paths.
type routerResult struct {
	Router, Untuned, Direct []rate
}

// rate is one round of load.
type rate struct {
	PerSecond float64
	P99       time.Duration
	CPU       time.Duration // processor time of the proxy per request; 0 without a proxy
}

// serveBackend is the app behind the proxies. It answers at once with a few bytes.
func serveBackend() error {
	port := os.Getenv("PORT")
	http.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "hello\n") })
	http.HandleFunc("/port", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, port) })
	http.HandleFunc("/pid", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, os.Getpid()) })
	http.HandleFunc("/print", servePrint)
	http.HandleFunc("/slow", serveSlow)
	http.HandleFunc("/echo", serveEcho)
	return http.ListenAndServe(":"+port, nil)
}

// serveProxy is the standard library's reverse proxy without any settings, for comparison.
func serveProxy(args []string) error {
	if len(args) != 2 {
		return errors.New("usage: bench proxy ADDRESS URL")
	}
	to, err := url.Parse(args[1])
	if err != nil {
		return err
	}
	return http.ListenAndServe(args[0], httputil.NewSingleHostReverseProxy(to))
}

// report makes wrk print numbers instead of prose: requests, duration in microseconds, 99th
// percentile in microseconds, and errors of any kind.
const report = `function done(summary, latency)
  local e = summary.errors
  io.write(string.format("\nresult %d %d %d %d\n", summary.requests, summary.duration, latency:percentile(99),
    e.connect + e.read + e.write + e.status + e.timeout))
end
`

// path is one path to the app.
type path struct {
	addr string
	host string
	pid  int // the proxy's process; 0 without a proxy
	into *[]rate
}

func measureRouter(ctx context.Context, o options, c *client) (*routerResult, error) {
	s, err := startServer(ctx, o.Paas, c, nil)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	progress("router: deploying the backend")
	app := s.app("backend")
	if err := pushBackend(ctx, c, app); err != nil {
		return nil, err
	}
	direct, err := backendAddr(ctx, app)
	if err != nil {
		return nil, err
	}
	untuned, err := freeAddr()
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	proxy := proc.Command(ctx, os.Environ(), self, "proxy", untuned, "http://"+direct)
	if err := proxy.Start(); err != nil {
		return nil, err
	}
	var res routerResult
	paths := []path{
		{addr: app.addr, host: app.host, pid: s.serving(), into: &res.Router},
		{addr: untuned, host: untuned, pid: proxy.Process.Pid, into: &res.Untuned},
		{addr: direct, host: direct, into: &res.Direct},
	}
	for round := range o.Rounds + 1 {
		progress("router: round %d of %d", round, o.Rounds)
		for i := range paths {
			p := paths[(i+round)%len(paths)]
			seconds := o.Seconds
			if round == 0 { // warm-up
				seconds = 1
			}
			r, err := p.load(ctx, c, seconds)
			if err != nil {
				return nil, err
			}
			if round > 0 {
				*p.into = append(*p.into, r)
			}
		}
	}
	return &res, nil
}

// pushBackend deploys this binary as an app.
func pushBackend(ctx context.Context, c *client, t target) error {
	dir, err := os.MkdirTemp(c.dir, "backend-")
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	binary, err := os.ReadFile(self)
	if err != nil {
		return err
	}
	err = errors.Join(
		os.WriteFile(filepath.Join(dir, "backend"), binary, 0o755),
		os.WriteFile(filepath.Join(dir, "Procfile"), []byte("web: ./backend backend\n"), 0o644))
	if err != nil {
		return err
	}
	if err := c.commitAll(ctx, dir); err != nil {
		return err
	}
	return c.git(ctx, dir, "push", t.remote, "main")
}

// backendAddr asks the app for the port it listens on.
func backendAddr(ctx context.Context, t target) (string, error) {
	port, err := get(ctx, t.client(false), t, "/port")
	if err != nil {
		return "", err
	}
	if _, err := strconv.Atoi(string(port)); err != nil {
		return "", fmt.Errorf("the backend's port is %.40q", port)
	}
	return net.JoinHostPort("127.0.0.1", string(port)), nil
}

// load runs wrk on one path. It fails if any request was not answered with 200.
func (p path) load(ctx context.Context, c *client, seconds int) (rate, error) {
	script := filepath.Join(c.dir, "report.lua")
	if err := os.WriteFile(script, []byte(report), 0o600); err != nil {
		return rate{}, err
	}
	var before time.Duration
	var err error
	if p.pid != 0 {
		if before, err = used(p.pid); err != nil {
			return rate{}, err
		}
	}
	out, err := proc.Output(proc.Command(ctx, os.Environ(), "wrk", "-t2",
		"-c"+strconv.Itoa(connections),
		"-d"+strconv.Itoa(seconds)+"s", "-s", script, "-H", "Host: "+p.host, "http://"+p.addr+"/"))
	if err != nil {
		return rate{}, err
	}
	return p.rate(out, before)
}

// rate parses the output of the wrk script.
func (p path) rate(out []byte, before time.Duration) (rate, error) {
	var requests, micros, p99, failed int64
	_, line, ok := bytes.Cut(out, []byte("\nresult "))
	if !ok {
		return rate{}, fmt.Errorf("wrk printed no result:\n%s", out)
	}
	if _, err := fmt.Sscan(string(line), &requests, &micros, &p99, &failed); err != nil {
		return rate{}, fmt.Errorf("wrk: %w:\n%s", err, out)
	}
	if failed > 0 || requests == 0 {
		return rate{}, fmt.Errorf("%s: %d of %d requests failed", p.host, failed, requests)
	}
	r := rate{PerSecond: float64(requests) / float64(micros) * 1e6,
		P99: time.Duration(p99) * time.Microsecond}
	if p.pid != 0 {
		after, err := used(p.pid)
		if err != nil {
			return rate{}, err
		}
		r.CPU = (after - before) / time.Duration(requests)
	}
	return r, nil
}

func (r *routerResult) rows(print row) {
	speed := func(r rate) float64 { return r.PerSecond }
	p99 := func(r rate) time.Duration { return r.P99 }
	cost := func(r rate) time.Duration { return r.CPU }
	ours, untuned, direct := median(r.Router, speed), median(r.Untuned, speed), median(r.Direct, speed)
	print(fmt.Sprintf("requests a second, %d connections", connections), fmt.Sprintf("%.0f", ours),
		fmt.Sprintf("%.0f (untuned proxy)", untuned), ratio(ours, untuned), "at least 2.5")
	print("the same, against the app itself",
		fmt.Sprintf("%.0f", ours), fmt.Sprintf("%.0f (direct)", direct), ratio(ours, direct), "")
	print("99th percentile", ms(median(r.Router, p99)),
		fmt.Sprintf("%s (untuned), %s (direct)", ms(median(r.Untuned, p99)),
			ms(median(r.Direct, p99))), "", "")
	a, b := median(r.Router, cost), median(r.Untuned, cost)
	print("processor time a request", us(a), us(b)+" (untuned proxy)", ratio(a, b), "")
}
