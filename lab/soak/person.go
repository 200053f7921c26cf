//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"paas/lab/proc"
	"paas/lab/pusher"
)

// person pushes and runs commands, with the real git and OpenSSH.
type person struct {
	*pusher.Pusher
	server *server
}

func newPerson(ctx context.Context, home string, s *server) (*person, error) {
	if err := os.MkdirAll(home, 0o700); err != nil {
		return nil, err
	}
	p, err := pusher.New(ctx, home, "soak")
	return &person{p, s}, err
}

// trust stores the server's host key, once. The server must keep it.
func (p *person) trust(ctx context.Context) error {
	key := filepath.Join(p.server.root, "ssh", "host_ed25519")
	return p.Trust(ctx, "127.0.0.1:"+p.server.sshPort, key)
}

func (p *person) remote(app string) string {
	return "ssh://paas@" + net.JoinHostPort("127.0.0.1", p.server.sshPort) + "/" + app
}

// verb returns a paas command, over ssh or on the server.
func (p *person) verb(ctx context.Context, ssh bool, args ...string) *exec.Cmd {
	if !ssh {
		return proc.Command(ctx, p.server.env, p.server.binary, args...)
	}
	line := append(p.SSH(), "-p", p.server.sshPort, "paas@127.0.0.1")
	for _, arg := range args { // ssh joins arguments with spaces, and the server splits them
		line = append(line, "'"+strings.ReplaceAll(arg, "'", `'\''`)+"'")
	}
	return proc.Command(ctx, p.Env, line[0], line[1:]...)
}

// ask runs a command and decodes its JSON.
func (p *person) ask(ctx context.Context, ssh bool, answer any, args ...string) error {
	cmd := p.verb(ctx, ssh, append(args, "--format", "json")...)
	out, err := proc.Output(cmd)
	if err == nil {
		err = json.Unmarshal(out, answer)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", strings.Join(args, " "), err)
	}
	return nil
}

// running is a command in progress.
type running struct {
	cmd   *exec.Cmd
	ended chan struct{}
	err   error // valid once ended is closed

	mu   sync.Mutex
	said bytes.Buffer
}

func (r *running) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.said.Write(p)
}

// text returns what the command has printed so far.
func (r *running) text() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.said.String()
}

// begin starts a command.
func begin(cmd *exec.Cmd) *running {
	r := &running{cmd: cmd, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = r, r
	if r.err = cmd.Start(); r.err != nil {
		close(r.ended)
		return r
	}
	go func() {
		r.err = cmd.Wait()
		if errors.Is(r.err, exec.ErrWaitDelay) { // it succeeded, but a child keeps the pipe open
			r.err = nil
		}
		close(r.ended)
	}()
	return r
}

// wait waits until the command ends, and returns its error.
func (r *running) wait() error {
	<-r.ended
	return r.err
}

// last returns the end of a command's output, for messages.
func last(text string) string {
	text = strings.TrimSpace(text)
	const most = 1500
	if len(text) > most {
		text = "..." + text[len(text)-most:]
	}
	return text
}
