//go:build linux

package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// server is the system under measurement: "paas serve" on a root of its own.
type server struct {
	cmd    *exec.Cmd
	binary string
	ssh    *url.URL
	http   *url.URL
}

// startServer starts a server and registers the client's key; it returns once it is ready.
func startServer(ctx context.Context, binary string, c *client) (*server, error) {
	root, err := os.MkdirTemp(c.dir, "root-")
	if err != nil {
		return nil, err
	}
	// Apps may run under users of their own, who have to get to their files.
	if err := errors.Join(os.Chmod(c.dir, 0o711), os.Chmod(root, 0o755)); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(root, "server.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	env := append(os.Environ(), "PAAS_ROOT="+root, "PAAS_SSH_ADDR=127.0.0.1:0", "PAAS_HTTP_ADDR=127.0.0.1:0",
		"PAAS_DOMAIN=localhost")
	if _, err := output(command(ctx, env, binary, "keys:add", "bench", c.key+".pub")); err != nil {
		return nil, err
	}
	s := &server{binary: binary, cmd: command(ctx, env, binary, "serve")}
	s.cmd.Cancel = func() error { return s.cmd.Process.Signal(syscall.SIGTERM) }
	s.cmd.WaitDelay = 20 * time.Second
	s.cmd.Stderr = log
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	slow := time.AfterFunc(time.Minute, func() { s.cmd.Process.Kill() })
	defer slow.Stop()
	for lines := bufio.NewScanner(out); lines.Scan(); {
		door, address, _ := strings.Cut(lines.Text(), " ")
		switch door {
		case "git":
			s.ssh, err = url.Parse(strings.TrimSpace(address))
		case "http":
			s.http, err = url.Parse(strings.TrimSpace(address))
		case "ready":
			if s.ssh == nil || s.http == nil {
				return nil, errors.New("paas serve named no git or no http address")
			}
			return s, c.trust(ctx, "127.0.0.1:"+s.ssh.Port(), filepath.Join(root, "ssh", "host_ed25519"))
		}
		if err != nil {
			return nil, fmt.Errorf("paas serve: %w", err)
		}
	}
	text, _ := os.ReadFile(log.Name())
	return nil, fmt.Errorf("paas serve was not ready: %w\n%s", s.cmd.Wait(), text)
}

// app is where an app of this server is, or will be once it is pushed.
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

// processes are the server's own: itself and those below it that run the same binary.
func (s *server) processes() []int {
	pids := []int{s.cmd.Process.Pid}
	for _, pid := range descendants(s.cmd.Process.Pid) {
		if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); err == nil && exe == s.binary {
			pids = append(pids, pid)
		}
	}
	return pids
}
