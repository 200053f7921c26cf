//go:build linux

// Package pusher is a person who pushes with the real git and OpenSSH, for the programs of the lab.
package pusher

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"

	"paas/lab/proc"
)

// Pusher is a person with a key and a known_hosts file of their own.
type Pusher struct {
	Key   string   // the private key; the public one ends in .pub
	Env   []string // for git and its children
	known string   // known_hosts
}

// New makes a key in dir for the person with that name.
func New(ctx context.Context, dir, name string) (*Pusher, error) {
	p := &Pusher{
		Key:   filepath.Join(dir, "id_ed25519"),
		known: filepath.Join(dir, "known_hosts"),
	}
	p.Env = append(os.Environ(), "HOME="+dir, "SSH_AUTH_SOCK=",
		"GIT_SSH_COMMAND="+strings.Join(p.SSH(), " "), "GIT_TERMINAL_PROMPT=0",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null")
	for _, role := range []string{"AUTHOR", "COMMITTER"} {
		p.Env = append(p.Env, "GIT_"+role+"_NAME="+name, "GIT_"+role+"_EMAIL="+name+"@localhost")
	}
	return p, p.Keygen(ctx, p.Key)
}

// SSH returns the ssh command line. It reads no configuration file and shares no connection, so each
// call makes a new handshake.
func (p *Pusher) SSH() []string {
	return []string{"ssh", "-F", "none", "-i", p.Key, "-o", "IdentitiesOnly=yes",
		"-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=yes", "-o", "ControlMaster=no",
		"-o", "UserKnownHostsFile=" + p.known}
}

// Keygen makes a key pair.
func (p *Pusher) Keygen(ctx context.Context, path string) error {
	keygen := proc.Command(ctx, p.Env, "ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path)
	_, err := proc.Output(keygen)
	return err
}

// Trust adds a server's public host key, derived from the private key file, to known_hosts.
func (p *Pusher) Trust(ctx context.Context, addr, hostKey string) error {
	public, err := proc.Output(proc.Command(ctx, p.Env, "ssh-keygen", "-y", "-f", hostKey))
	if err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(p.known, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "[%s]:%s %s", host, port, public)
	return errors.Join(err, f.Close())
}

// Git runs git in dir and returns its output.
func (p *Pusher) Git(ctx context.Context, dir string, args ...string) (string, error) {
	cmd := proc.Command(ctx, p.Env, "git", args...)
	cmd.Dir = dir
	out, err := proc.Output(cmd)
	return string(out), err
}
