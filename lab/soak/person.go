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
)

// person is who pushes and gives commands, with the real git and OpenSSH and a home of their own.
type person struct {
	home, key, known string
	env              []string
	server           *server
}

func newPerson(ctx context.Context, home string, s *server) (*person, error) {
	p := &person{home: home, key: filepath.Join(home, "id_ed25519"), known: filepath.Join(home, "known_hosts"), server: s}
	if err := os.MkdirAll(home, 0o700); err != nil {
		return nil, err
	}
	p.env = append(os.Environ(), "HOME="+home, "GIT_SSH_COMMAND="+strings.Join(p.ssh(), " "), "SSH_AUTH_SOCK=",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_TERMINAL_PROMPT=0",
		"GIT_AUTHOR_NAME=soak", "GIT_AUTHOR_EMAIL=soak@localhost", "GIT_COMMITTER_NAME=soak", "GIT_COMMITTER_EMAIL=soak@localhost")
	_, err := proc.Output(proc.Command(ctx, p.env, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", p.key))
	return p, err
}

func (p *person) ssh() []string {
	return []string{"ssh", "-F", "none", "-p", p.server.sshPort, "-i", p.key, "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes",
		"-o", "StrictHostKeyChecking=yes", "-o", "UserKnownHostsFile=" + p.known, "-o", "ControlMaster=no"}
}

// trust makes the server's host key the known one, once: the server has to keep it.
func (p *person) trust(ctx context.Context) error {
	public, err := proc.Output(proc.Command(ctx, p.env, "ssh-keygen", "-y", "-f", filepath.Join(p.server.root, "ssh", "host_ed25519")))
	if err != nil {
		return err
	}
	return os.WriteFile(p.known, fmt.Appendf(nil, "[127.0.0.1]:%s %s", p.server.sshPort, public), 0o600)
}

func (p *person) remote(app string) string {
	return "ssh://paas@" + net.JoinHostPort("127.0.0.1", p.server.sshPort) + "/" + app
}

// git runs git to its end in dir.
func (p *person) git(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := proc.Command(ctx, p.env, "git", args...)
	cmd.Dir = dir
	out, err := proc.Output(cmd)
	return string(out), err
}

// verb is a command of paas, by ssh or on the server.
func (p *person) verb(ctx context.Context, far bool, args ...string) *exec.Cmd {
	if !far {
		return proc.Command(ctx, p.server.env, p.server.binary, args...)
	}
	line := p.ssh()
	line = append(line, "paas@127.0.0.1")
	for _, arg := range args { // ssh joins them by spaces, and the server takes them apart
		line = append(line, "'"+strings.ReplaceAll(arg, "'", `'\''`)+"'")
	}
	return proc.Command(ctx, p.env, line[0], line[1:]...)
}

// ask runs a command and reads its answer in JSON.
func (p *person) ask(ctx context.Context, far bool, answer any, args ...string) error {
	cmd := p.verb(ctx, far, append(args, "--format", "json")...)
	out, err := proc.Output(cmd)
	if err == nil {
		err = json.Unmarshal(out, answer)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", strings.Join(args, " "), err)
	}
	return nil
}

// deed is a command that is under way.
type deed struct {
	cmd   *exec.Cmd
	ended chan struct{}
	err   error // when ended is closed

	mu   sync.Mutex
	said bytes.Buffer
}

func (d *deed) Write(p []byte) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.said.Write(p)
}

// text is what the command has printed.
func (d *deed) text() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.said.String()
}

// begin starts a command.
func begin(cmd *exec.Cmd) *deed {
	d := &deed{cmd: cmd, ended: make(chan struct{})}
	cmd.Stdout, cmd.Stderr = d, d
	if d.err = cmd.Start(); d.err != nil {
		close(d.ended)
		return d
	}
	go func() {
		d.err = cmd.Wait()
		if errors.Is(d.err, exec.ErrWaitDelay) { // it ended well; something of it keeps the pipe
			d.err = nil
		}
		close(d.ended)
	}()
	return d
}

// wait waits for the end, and gives how it was.
func (d *deed) wait() error {
	<-d.ended
	return d.err
}

// last is the end of what a command printed, for a message.
func last(text string) string {
	text = strings.TrimSpace(text)
	const most = 1500
	if len(text) > most {
		text = "..." + text[len(text)-most:]
	}
	return text
}
