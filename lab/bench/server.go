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
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"paas/lab/proc"
)

// server is a running "paas serve" with a volume of its own.
type server struct {
	binary string
	root   string
	env    []string
	cmd    *exec.Cmd
	ssh    *url.URL // nil without the role git
	http   *url.URL
	hooks  *url.URL // webhooks and /metrics
}

// startServer starts a server with the named roles, or with all, and returns once it is ready.
// Settings are variables, NAME=VALUE.
func startServer(
	ctx context.Context, binary string, c *client, settings []string, names ...string,
) (*server, error) {
	root, err := os.MkdirTemp(c.dir, "root-")
	if err != nil {
		return nil, err
	}
	r := &server{root: root, env: append(os.Environ(), "PAAS_ROOT="+root, "PAAS_SSH_ADDR=127.0.0.1:0",
		"PAAS_HTTP_ADDR=127.0.0.1:0", "PAAS_SIDECAR_ADDR=127.0.0.1:0", "PAAS_DOMAIN=localhost",
		"PAAS_PROVE=0")}
	r.env = append(r.env, settings...)
	r.binary = binary
	if _, err := r.run(ctx, "keys:add", "bench", c.Key+".pub"); err != nil {
		return nil, err
	}
	return r, r.start(ctx, c, names...)
}

// start starts the server, which must not be running, and returns once it is ready.
func (r *server) start(ctx context.Context, c *client, names ...string) error {
	log, err := os.OpenFile(filepath.Join(r.root, "server.log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY,
		0o644)
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
			return errors.New("paas serve printed no address for webhooks")
		}
		if r.ssh == nil {
			return nil
		}
		return c.Trust(ctx, "127.0.0.1:"+r.ssh.Port(), filepath.Join(r.root, "ssh", "host_ed25519"))
	}
	text, _ := os.ReadFile(log.Name())
	return fmt.Errorf("paas serve was not ready: %w\n%s", r.cmd.Wait(), text)
}

// app returns the target for pushes and requests of an app, which need not exist yet.
func (s *server) app(name string) target {
	return target{
		name:   "paas",
		remote: fmt.Sprintf("ssh://bench@127.0.0.1:%s/%s", s.ssh.Port(), name),
		addr:   "127.0.0.1:" + s.http.Port(),
		host:   name + "." + s.http.Host,
	}
}

func (s *server) stop() {
	slow := time.AfterFunc(20*time.Second, func() { s.cmd.Process.Kill() })
	defer slow.Stop()
	s.cmd.Process.Signal(syscall.SIGTERM)
	s.cmd.Wait()
}

// processes returns the server's own processes: it and its descendants that run the same binary.
func (s *server) processes() []int {
	pids := []int{s.cmd.Process.Pid}
	for _, pid := range proc.Descendants(s.cmd.Process.Pid) {
		if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); err == nil && exe == s.binary {
			pids = append(pids, pid)
		}
	}
	return pids
}

// serving returns the process that serves.
func (s *server) serving() int { return proc.Serving(s.cmd.Process.Pid) }

// run runs a paas command on the server's volume.
func (r *server) run(ctx context.Context, args ...string) ([]byte, error) {
	return proc.Output(proc.Command(ctx, r.env, r.binary, args...))
}

// count returns the sum of the server's metrics whose lines begin with prefix.
func (r *server) count(ctx context.Context, prefix string) (int, error) {
	return scrape(ctx, r.hooks.Host, prefix)
}

// scrape returns the sum of the metrics at addr, in the Prometheus format, whose lines begin with
// prefix.
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
