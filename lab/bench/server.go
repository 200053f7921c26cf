//go:build linux

package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"syscall"
	"time"

	"paas/lab/proc"
)

// server is the system under measurement: "paas serve" on a root of its own.
type server struct {
	cmd    *exec.Cmd
	binary string
	ssh    *url.URL
	http   *url.URL
}

// startServer starts a server of all roles.
func startServer(ctx context.Context, binary string, c *client) (*server, error) {
	r, err := startRoles(ctx, binary, c, nil)
	if err != nil {
		return nil, err
	}
	return &r.server, nil
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
	for _, pid := range proc.Descendants(s.cmd.Process.Pid) {
		if exe, err := os.Readlink(fmt.Sprintf("/proc/%d/exe", pid)); err == nil && exe == s.binary {
			pids = append(pids, pid)
		}
	}
	return pids
}
