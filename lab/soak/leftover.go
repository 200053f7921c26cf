//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"paas/lab/proc"
)

// everyDoor compares answers over ssh with those of the command line on the server.
func (d *day) everyDoor(ctx context.Context) {
	questions := [][]string{{"apps:list"}}
	for _, a := range d.apps {
		for _, verb := range []string{"apps:info", "config", "releases", "ps", "settings", "ps:scale"} {
			if verb == "ps:scale" && !a.node {
				continue
			}
			questions = append(questions, []string{verb, a.name})
		}
	}
	// Asking everything each time would be most of the load.
	for _, q := range append(questions[:1:1], questions[1+d.rounds%(len(questions)-1)]) {
		var local, remote []byte
		var err1, err2 error
		for range 3 { // a cron run may begin between the two
			local, err1 = proc.Output(d.person.verb(ctx, false, q...))
			remote, err2 = proc.Output(d.person.verb(ctx, true, q...))
			if string(local) == string(remote) && err1 == nil && err2 == nil {
				d.kept(everyDoor)
				break
			}
		}
		if ctx.Err() != nil {
			return
		}
		if string(local) != string(remote) || err1 != nil || err2 != nil {
			d.broken(everyDoor, "%v: the command line answers %q, %v; ssh answers %q, %v", q, local, err1,
				remote, err2)
		}
	}
}

// oneLife checks that no processes of an earlier server process are left.
func (d *day) oneLife(ctx context.Context) {
	lives := map[string][]string{}
	for _, t := range appProcesses(d.root) {
		lives[t.life] = append(lives[t.life], fmt.Sprintf("%d (%s)", t.pid, t.run))
	}
	if len(lives) > 1 {
		d.broken(nothingLeft, "processes of %d lives of the server run: %v", len(lives), lives)
		return
	}
	// There are the keeper and the server, each with a guard that outlives it to kill its children. A
	// server that was replaced may still finish something.
	err := d.eventually(ctx, calm, nothingLeft, "the server", func() error {
		if own := serverProcesses(d.server.binary); len(own) > 4 {
			return fmt.Errorf("%d processes of it run at rest: %v", len(own), own)
		}
		return nil
	})
	if err == nil {
		d.kept(nothingLeft)
	}
}

// Growth beyond these is a leak.
const (
	moreFiles    = 30 // some folders and pipes
	moreSockets  = 40 // connections of visitors, and of the front door to the apps
	moreThreads  = 60
	moreResident = 150 << 10 // kB
)

// checkGrowth compares the server's usage with that at its first check. Unused connections close in
// time: visitors that waited for a suspended server have one each, and so do their apps.
func (d *day) checkGrowth(ctx context.Context, l *lifetime) {
	d.eventually(ctx, calm, nothingLeft, "the server", func() error {
		d.visitor.kept.CloseIdleConnections()
		l.last = d.server.usage()
		if l.checks == 0 {
			l.first = l.last
		}
		return leaks(l.first, l.last, d.Race)
	})
	l.checks++
}

// leaks returns an error if the server's usage has grown too much since its first check. With the
// race detector a server keeps more memory.
func leaks(first, last figures, race bool) error {
	resident := moreResident
	if race {
		resident *= 8
	}
	if last.Files > first.Files+moreFiles || last.Sockets > first.Sockets+moreSockets ||
		last.Threads > first.Threads+moreThreads || last.Resident > first.Resident+resident {
		return fmt.Errorf("has grown from %+v at its first rest to %+v", first, last)
	}
	return nil
}

// leftOver checks what a stopped server left. While people still run commands on the server, files
// and locks may be theirs.
func (d *day) leftOver(alone bool) {
	err := left(d.root, d.server.binary, d.server.sshPort, d.server.httpPort)
	if alone {
		err = errors.Join(err, filesLeft(d.root))
	}
	if err != nil {
		d.broken(nothingLeft, "after the server was stopped: %v", err)
		return
	}
	d.kept(nothingLeft)
}

// left returns an error if a stopped server still has processes, apps or ports.
func left(root, binary string, ports ...string) error {
	var errs []error
	for _, pid := range serverProcesses(binary) {
		errs = append(errs, fmt.Errorf("process %d of the server runs (%s)", pid, arguments(pid)))
	}
	for _, t := range appProcesses(root) {
		errs = append(errs, fmt.Errorf("process %d runs (%s, %s)", t.pid, t.run, arguments(t.pid)))
	}
	for _, port := range ports {
		if listens(port) {
			errs = append(errs, fmt.Errorf("port %s is taken", port))
		}
	}
	return errors.Join(errs...)
}

// tidied waits until the server has removed what nobody needs any longer from tmp/, which it does a
// second after each change. What is left when it stops is removed by the next one.
func (d *day) tidied(ctx context.Context) {
	d.eventually(ctx, calm, nothingLeft, "the server", func() error {
		all, err := filepath.Glob(filepath.Join(d.root, "tmp", "*"))
		for _, path := range all {
			f, openErr := os.Open(path)
			if openErr != nil {
				continue
			}
			if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil { // nobody uses it
				err = errors.Join(err, fmt.Errorf("%s is not removed", path))
			}
			f.Close()
		}
		return err
	})
}

// filesLeft returns an error if there are temporary files, or locks that a process holds.
func filesLeft(root string) error {
	temporary, err := filepath.Glob(filepath.Join(root, "tmp", "*"))
	if len(temporary) > 0 {
		err = errors.Join(err, fmt.Errorf("there is %v", temporary))
	}
	locks, err1 := filepath.Glob(filepath.Join(root, "run", "*.lock"))
	turns, err2 := filepath.Glob(filepath.Join(root, "apps", "*", "turn"))
	err = errors.Join(err, err1, err2)
	for _, path := range append(locks, turns...) {
		f, openErr := os.Open(path)
		if openErr != nil {
			continue
		}
		if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
			err = errors.Join(err, fmt.Errorf("%s is locked", path))
		}
		f.Close()
	}
	return err
}

// listens reports whether a port of this machine accepts connections.
func listens(port string) bool {
	c, err := net.DialTimeout("tcp", "127.0.0.1:"+port, time.Second)
	if err == nil {
		c.Close()
	}
	return err == nil
}
