//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"paas/lab/proc"
)

// roles is "paas serve" with a sidecar that answers, of all roles or of some.
type roles struct {
	server
	root  string
	env   []string
	hooks *url.URL // where webhooks and /metrics are
}

// startRoles starts a server of the named roles, all where none is, on a root of its own, and
// returns once it is ready. Settings are variables, NAME=VALUE.
func startRoles(ctx context.Context, binary string, c *client, settings []string, names ...string) (*roles, error) {
	root, err := os.MkdirTemp(c.dir, "root-")
	if err != nil {
		return nil, err
	}
	r := &roles{root: root, env: append(os.Environ(), "PAAS_ROOT="+root, "PAAS_SSH_ADDR=127.0.0.1:0",
		"PAAS_HTTP_ADDR=127.0.0.1:0", "PAAS_SIDECAR_ADDR=127.0.0.1:0", "PAAS_DOMAIN=localhost",
		"PAAS_PROVE=0")}
	r.env = append(r.env, settings...)
	r.binary = binary
	if _, err := r.run(ctx, "keys:add", "bench", c.key+".pub"); err != nil {
		return nil, err
	}
	return r, r.start(ctx, c, names...)
}

// start starts the server, which has not run on its root or was stopped, and returns once it is ready.
func (r *roles) start(ctx context.Context, c *client, names ...string) error {
	log, err := os.OpenFile(filepath.Join(r.root, "server.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	defer log.Close()
	r.cmd = proc.Command(ctx, r.env, r.binary, append([]string{"serve"}, names...)...)
	r.cmd.Cancel = func() error { return r.cmd.Process.Signal(syscall.SIGTERM) }
	r.cmd.WaitDelay = 20 * time.Second
	r.cmd.Stderr = log
	out, err := r.cmd.StdoutPipe()
	if err != nil {
		return err
	}
	if err := r.cmd.Start(); err != nil {
		return err
	}
	slow := time.AfterFunc(time.Minute, func() { r.cmd.Process.Kill() })
	defer slow.Stop()
	doors := map[string]*url.URL{}
	for lines := bufio.NewScanner(out); lines.Scan(); {
		door, address, _ := strings.Cut(lines.Text(), " ")
		if door != "ready" {
			if doors[door], err = url.Parse(strings.TrimSpace(address)); err != nil {
				return fmt.Errorf("paas serve: %w", err)
			}
			continue
		}
		if r.ssh, r.http, r.hooks = doors["git"], doors["http"], doors["hooks"]; r.hooks == nil {
			return errors.New("paas serve named no address for webhooks")
		}
		if r.ssh == nil {
			return nil
		}
		return c.trust(ctx, "127.0.0.1:"+r.ssh.Port(), filepath.Join(r.root, "ssh", "host_ed25519"))
	}
	text, _ := os.ReadFile(log.Name())
	return fmt.Errorf("paas serve was not ready: %w\n%s", r.cmd.Wait(), text)
}

// run runs a command of paas on the same root.
func (r *roles) run(ctx context.Context, args ...string) ([]byte, error) {
	return proc.Output(proc.Command(ctx, r.env, r.binary, args...))
}

// count is the sum of the sidecar's metrics whose lines begin with prefix.
func (r *roles) count(ctx context.Context, prefix string) (int, error) {
	return scrape(ctx, r.hooks.Host, prefix)
}

// scrape sums the metrics at addr whose lines begin with prefix, in the format that Prometheus reads.
func scrape(ctx context.Context, addr, prefix string) (sum int, err error) {
	body, err := get(ctx, http.DefaultClient, target{host: addr}, "/metrics")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(body)) {
		if !strings.HasPrefix(line, prefix) {
			continue
		}
		value, err := strconv.ParseFloat(strings.TrimSpace(line[strings.LastIndexByte(line, ' ')+1:]), 64)
		if err != nil {
			return 0, fmt.Errorf("metric %q: %w", prefix, err)
		}
		sum += int(value)
	}
	return sum, nil
}
