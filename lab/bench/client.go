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
	"os"
	"path/filepath"
	"strings"
	"time"

	"paas/lab/proc"
)

// client is a person who pushes: a clone of the example, a key, and the same ssh options for every
// system.
type client struct {
	dir     string // for temporary files
	clone   string
	key     string              // the private key; the public one ends in .pub
	known   string              // known_hosts
	env     []string            // for git and its children
	page    string              // the file whose first line a change replaces
	line    func(string) string // returns a first line that makes the front page show mark
	changes int
}

// target is a deployed app: where to push, and where it answers.
type target struct {
	name   string
	remote string
	addr   string // host:port to connect to
	host   string // the Host header
}

// push has the times of one push: until git returned, and until the app answered with the change.
// Both begin when git is started.
type push struct {
	Returned, Live time.Duration
}

func newClient(ctx context.Context, dir, example string) (*client, error) {
	c := &client{
		dir:   dir,
		clone: filepath.Join(dir, "clone"),
		key:   filepath.Join(dir, "id_ed25519"),
		known: filepath.Join(dir, "known_hosts"),
		page:  "posts/01-hello.md",
		line:  func(mark string) string { return "# " + mark },
	}
	c.env = append(os.Environ(), "GIT_SSH_COMMAND="+strings.Join(c.ssh(), " "), "SSH_AUTH_SOCK=",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=bench", "GIT_AUTHOR_EMAIL=bench@localhost",
		"GIT_COMMITTER_NAME=bench", "GIT_COMMITTER_EMAIL=bench@localhost")
	if err := c.keygen(ctx, c.key); err != nil {
		return nil, err
	}
	if err := copyTree(c.clone, example); err != nil {
		return nil, fmt.Errorf("copy the example: %w", err)
	}
	return c, c.commitAll(ctx, c.clone)
}

// ssh returns the ssh command line. It reads no configuration file and shares no connection, so
// each call makes a new handshake.
func (c *client) ssh() []string {
	return []string{"ssh", "-F", "none", "-i", c.key, "-o", "IdentitiesOnly=yes", "-o",
		"BatchMode=yes",
		"-o", "StrictHostKeyChecking=yes", "-o", "UserKnownHostsFile=" + c.known, "-o", "ControlMaster=no"}
}

func (c *client) keygen(ctx context.Context, path string) error {
	_, err := proc.Output(proc.Command(ctx, c.env, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f",
		path))
	return err
}

// trust adds a server's public host key, derived from the private key file, to known_hosts.
func (c *client) trust(ctx context.Context, addr, hostKey string) error {
	public, err := proc.Output(proc.Command(ctx, c.env, "ssh-keygen", "-y", "-f", hostKey))
	if err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(c.known, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "[%s]:%s %s", host, port, public)
	return errors.Join(err, f.Close())
}

func (c *client) git(ctx context.Context, dir string, args ...string) error {
	cmd := proc.Command(ctx, c.env, "git", args...)
	cmd.Dir = dir
	_, err := proc.Output(cmd)
	return err
}

// commitAll makes dir a repository with one commit of its files.
func (c *client) commitAll(ctx context.Context, dir string) error {
	for _, args := range [][]string{{"init", "-q"}, {"symbolic-ref", "HEAD", "refs/heads/main"},
		{"add", "-A"}, {"commit", "-qm", "one"}} {
		if err := c.git(ctx, dir, args...); err != nil {
			return err
		}
	}
	return nil
}

// change commits a new first line of one file, and returns the mark that the front page then has.
func (c *client) change(ctx context.Context) (mark string, err error) {
	c.changes++
	mark = fmt.Sprintf("Hello, change %d.", c.changes)
	path := filepath.Join(c.clone, c.page)
	text, err := os.ReadFile(path)
	if err != nil {
		return "", err
	}
	_, rest, _ := bytes.Cut(text, []byte("\n"))
	if err := os.WriteFile(path, append([]byte(c.line(mark)+"\n"), rest...), 0o644); err != nil {
		return "", err
	}
	return mark, c.git(ctx, c.clone, "commit", "-qam", mark)
}

// deploy changes one line, pushes, and waits until the app answers with the change.
func (c *client) deploy(ctx context.Context, t target) (push, error) {
	mark, err := c.change(ctx)
	if err != nil {
		return push{}, err
	}
	return c.pushUntil(ctx, t, mark)
}

// pushUntil pushes and, about once a millisecond over a kept connection, requests the front page
// until it contains mark.
func (c *client) pushUntil(ctx context.Context, t target, mark string) (push, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	web := t.client(true)
	defer web.CloseIdleConnections()

	start := time.Now()
	live := make(chan time.Duration, 1)
	go func() {
		for ctx.Err() == nil {
			if body, err := get(ctx, web, t, "/"); err == nil && bytes.Contains(body, []byte(mark)) {
				live <- time.Since(start)
				return
			}
			time.Sleep(time.Millisecond)
		}
	}()
	if err := c.git(ctx, c.clone, "push", t.remote, "main"); err != nil {
		return push{}, fmt.Errorf("push to %s: %w", t.name, err)
	}
	returned := time.Since(start)
	select {
	case d := <-live:
		return push{Returned: returned, Live: d}, nil
	case <-ctx.Done():
		return push{}, fmt.Errorf("%s: the change was pushed but is not answered: %w", t.name, ctx.Err())
	}
}

// client returns an HTTP client that connects to the app's address, whatever the host name.
func (t target) client(keep bool) *http.Client {
	return &http.Client{
		Timeout: 30 * time.Second,
		Transport: &http.Transport{
			DisableKeepAlives:   !keep,
			MaxIdleConnsPerHost: 16,
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, t.addr)
			},
		},
	}
}

// get requests one page. Any status but 200 is an error.
func get(ctx context.Context, web *http.Client, t target, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+t.host+path, nil)
	if err != nil {
		return nil, err
	}
	resp, err := web.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status %d", resp.StatusCode)
	}
	return body, nil
}

// copyTree copies an app without node_modules.
func copyTree(dst, src string) error {
	if err := os.CopyFS(dst, os.DirFS(src)); err != nil {
		return err
	}
	return os.RemoveAll(filepath.Join(dst, "node_modules"))
}
