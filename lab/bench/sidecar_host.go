//go:build linux

package main

import (
	"context"
	"net"
	"net/http"
	"net/http/cgi"
	"os"
	"path/filepath"
	"strings"

	"paas/lab/proc"
)

// host serves the followed repositories on loopback: git's HTTP backend behind a server in this
// process. It is read-only; pushes go to the folders directly.
type host struct {
	client *client
	dir    string
	addr   string
	server *http.Server
}

func startHost(ctx context.Context, c *client) (*host, error) {
	dir, err := os.MkdirTemp(c.dir, "host-")
	if err != nil {
		return nil, err
	}
	programs, err := proc.Output(proc.Command(ctx, c.Env, "git", "--exec-path"))
	if err != nil {
		return nil, err
	}
	backend := &cgi.Handler{
		Path: filepath.Join(strings.TrimSpace(string(programs)), "git-http-backend"),
		Root: "/",
		Env: []string{"GIT_PROJECT_ROOT=" + dir, "GIT_HTTP_EXPORT_ALL=1", "HOME=" + dir,
			"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null"},
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	h := &host{client: c, dir: dir, addr: listener.Addr().String(),
		server: &http.Server{Handler: backend}}
	go h.server.Serve(listener)
	return h, nil
}

func (h *host) stop() { h.server.Close() }

// create creates an empty repository.
func (h *host) create(ctx context.Context, name string) error {
	return h.client.git(ctx, h.dir, "init", "-q", "--bare", "-b", "main", name+".git")
}

func (h *host) url(name string) string  { return "http://" + h.addr + "/" + name + ".git" }
func (h *host) path(name string) string { return filepath.Join(h.dir, name+".git") }
