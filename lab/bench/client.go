//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"paas/lab/pusher"
)

// client is a person who pushes changes of one app.
type client struct {
	*pusher.Pusher
	dir     string // for temporary files
	clone   string
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
	p, err := pusher.New(ctx, dir, "bench")
	if err != nil {
		return nil, err
	}
	c := &client{
		Pusher: p,
		dir:    dir,
		clone:  filepath.Join(dir, "clone"),
		page:   "posts/01-hello.md",
		line:   func(mark string) string { return "# " + mark },
	}
	if err := copyTree(c.clone, example); err != nil {
		return nil, fmt.Errorf("copy the example: %w", err)
	}
	return c, c.commitAll(ctx, c.clone)
}

func (c *client) git(ctx context.Context, dir string, args ...string) error {
	_, err := c.Git(ctx, dir, args...)
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
