//go:build linux

package main

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"time"

	"paas/lab/proc"
)

// naive is the floor: what one can set up in ten minutes with OpenSSH and a hook. It checks
// nothing, and the app is down while it starts.
type naive struct {
	ssh  string // host:port
	web  string
	user string
	dir  string
	jail string // the folder that startSSH made for sshd, to be removed; empty: none
}

// hook is the whole system: it checks out, stops the old app and starts the new one.
const hook = `#!/bin/sh
git --work-tree='%[1]s' checkout -q -f main
if [ -f '%[2]s' ]; then # the port is taken until the old app has ended
  kill "$(cat '%[2]s')"
  while grep -q . "/proc/$(cat '%[2]s')/cmdline" 2>/dev/null; do sleep 0.01; done
fi
cd '%[1]s' && PORT=%[3]s exec setsid node server.js </dev/null >/dev/null 2>&1 &
echo $! >'%[2]s'
`

func startNaive(ctx context.Context, c *client, example string) (*naive, error) {
	me, err := user.Current()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp(c.dir, "naive-")
	if err != nil {
		return nil, err
	}
	n := &naive{user: me.Username, dir: dir}
	work := filepath.Join(n.dir, "work")
	if err := copyTree(work, example); err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(work, "package-lock.json")); err == nil {
		npm := proc.Command(ctx, os.Environ(), "npm", "ci", "--no-audit", "--no-fund")
		npm.Dir = work
		if _, err := proc.Output(npm); err != nil {
			return nil, err
		}
	}
	if n.web, err = freeAddr(); err != nil {
		return nil, err
	}
	for _, repo := range []string{"app.git", "plain.git"} {
		if err := c.git(ctx, n.dir, "init", "-q", "--bare", repo); err != nil {
			return nil, err
		}
	}
	_, port, _ := net.SplitHostPort(n.web)
	text := fmt.Sprintf(hook, work, filepath.Join(n.dir, "pid"), port)
	if err := os.WriteFile(filepath.Join(n.dir, "app.git", "hooks", "post-receive"), []byte(text),
		0o755); err != nil {
		return nil, err
	}
	if err := n.startSSH(ctx, c); err != nil {
		n.stop()
		return nil, err
	}
	return n, nil
}

// stop leaves the processes to [proc.EndAll], which also ends those of the hook.
func (n *naive) stop() {
	if n.jail != "" {
		os.Remove(n.jail)
	}
}

// startSSH starts OpenSSH's server with a configuration of its own. It accepts only keys and, to
// save time, uses neither PAM nor reverse DNS.
func (n *naive) startSSH(ctx context.Context, c *client) (err error) {
	if n.ssh, err = freeAddr(); err != nil {
		return err
	}
	hostKey := filepath.Join(n.dir, "host_ed25519")
	if err := c.Keygen(ctx, hostKey); err != nil {
		return err
	}
	if err := c.Trust(ctx, n.ssh, hostKey); err != nil {
		return err
	}
	config := fmt.Sprintf(`ListenAddress %s
HostKey %s
PidFile none
AuthorizedKeysFile %s.pub
AuthenticationMethods publickey
StrictModes no
UsePAM no
UseDNS no
SetEnv GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null
`, n.ssh, hostKey, c.Key)
	file := filepath.Join(n.dir, "sshd_config")
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return err
	}
	binary, err := exec.LookPath("sshd")
	if err != nil {
		binary = "/usr/sbin/sshd" // not in the PATH of ordinary users
	}
	// As root, sshd needs this empty folder; usually the system makes it.
	if os.Getuid() == 0 && os.Mkdir("/run/sshd", 0o755) == nil {
		n.jail = "/run/sshd"
	}
	log, err := os.Create(filepath.Join(n.dir, "sshd.log"))
	if err != nil {
		return err
	}
	defer log.Close()
	sshd := proc.Command(ctx, os.Environ(), binary, "-D", "-e", "-f", file)
	sshd.Stderr = log
	if err := sshd.Start(); err != nil {
		return err
	}
	for range 500 {
		if conn, err := net.Dial("tcp", n.ssh); err == nil {
			return conn.Close()
		}
		time.Sleep(10 * time.Millisecond)
	}
	text, _ := os.ReadFile(log.Name())
	return fmt.Errorf("sshd does not answer on %s\n%s", n.ssh, text)
}

func (n *naive) app() target {
	return target{name: "floor", remote: n.remote("app.git"), addr: n.web, host: n.web}
}

// remote returns the URL of a bare repository of the floor; plain.git has no hook.
func (n *naive) remote(repo string) string {
	return fmt.Sprintf("ssh://%s@%s%s", n.user, n.ssh, filepath.Join(n.dir, repo))
}

// boot starts the app a second time, as the hook does, and returns how long it took to answer.
func (n *naive) boot(ctx context.Context) (time.Duration, error) {
	return boot(ctx, filepath.Join(n.dir, "work"))
}

// boot starts the app in dir and returns how long it took to answer.
func boot(ctx context.Context, dir string) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	addr, err := freeAddr()
	if err != nil {
		return 0, err
	}
	_, port, _ := net.SplitHostPort(addr)
	app := proc.Command(ctx, append(os.Environ(), "PORT="+port), "node", "server.js")
	app.Dir = dir
	t := target{addr: addr, host: addr}
	web := t.client(true)
	defer web.CloseIdleConnections()
	start := time.Now()
	if err := app.Start(); err != nil {
		return 0, err
	}
	defer func() {
		app.Process.Kill()
		app.Wait()
	}()
	for ctx.Err() == nil {
		if _, err := get(ctx, web, t, "/"); err == nil {
			return time.Since(start), nil
		}
		time.Sleep(time.Millisecond)
	}
	return 0, fmt.Errorf("node did not answer: %w", ctx.Err())
}

// freeAddr returns a free loopback address.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}
