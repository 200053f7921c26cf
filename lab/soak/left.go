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

// everyDoor compares what ssh says with what the command line on the server does.
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
	// All of them each time would be most of the load.
	for _, q := range append(questions[:1:1], questions[1+d.rounds%(len(questions)-1)]) {
		var near, far []byte
		var err1, err2 error
		for range 3 { // what runs by the clock may begin in between
			near, err1 = proc.Output(d.person.verb(ctx, false, q...))
			far, err2 = proc.Output(d.person.verb(ctx, true, q...))
			if string(near) == string(far) && err1 == nil && err2 == nil {
				d.held(everyDoor)
				break
			}
		}
		if ctx.Err() != nil {
			return
		}
		if string(near) != string(far) || err1 != nil || err2 != nil {
			d.broken(everyDoor, "%v: the command line says %q, %v; ssh says %q, %v", q, near, err1, far, err2)
		}
	}
}

// oneLife looks whether processes of an earlier life of the server are left.
func (d *day) oneLife() {
	lives := map[string][]string{}
	for _, t := range tenants(d.root) {
		lives[t.life] = append(lives[t.life], fmt.Sprintf("%d (%s)", t.pid, t.run))
	}
	if len(lives) > 1 {
		d.broken(nothingLeft, "processes of %d lives of the server run: %v", len(lives), lives)
		return
	}
	if own := ofServer(d.server.binary); len(own) > 2 { // itself, and the guard that outlives it to end the others
		d.broken(nothingLeft, "%d processes of the server run at rest: %v", len(own), own)
		return
	}
	d.held(nothingLeft)
}

// Growth that is beyond reason.
const (
	moreFiles    = 30 // a folder and a pipe here and there
	moreSockets  = 40 // what visitors ask with at that moment, and what the front door asks apps with
	moreThreads  = 60
	moreResident = 150 << 10 // kB
)

// grows looks at what the server needs more than at its first rest. Connections that nobody uses go by themselves: visitors
// that waited for a suspended server have one each, and leave the server as many to its apps.
func (d *day) grows(ctx context.Context, l *lived) {
	d.eventually(ctx, calm, nothingLeft, "the server", func() error {
		d.visitor.kept.CloseIdleConnections()
		l.last = d.server.look()
		if l.rests == 0 {
			l.first = l.last
		}
		return needsMore(l.first, l.last, d.Race)
	})
	l.rests++
}

// needsMore says what a server needs beyond reason, since its first rest. One with the race detector keeps a lot of memory.
func needsMore(first, last figures, race bool) error {
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

// leftOver looks at what a server that was stopped has left. While people go on giving commands on the server, files and
// locks may be theirs.
func (d *day) leftOver(alone bool) {
	err := left(d.root, d.server.binary, d.server.sshPort, d.server.httpPort)
	if alone {
		err = errors.Join(err, filesLeft(d.root))
	}
	if err != nil {
		d.broken(nothingLeft, "after the server was stopped: %v", err)
		return
	}
	d.held(nothingLeft)
}

// left says what goes on after the server was stopped: its own processes, those it started, its ports.
func left(root, binary string, ports ...string) error {
	var errs []error
	for _, pid := range ofServer(binary) {
		errs = append(errs, fmt.Errorf("process %d of the server runs (%s)", pid, arguments(pid)))
	}
	for _, t := range tenants(root) {
		errs = append(errs, fmt.Errorf("process %d runs (%s, %s)", t.pid, t.run, arguments(t.pid)))
	}
	for _, port := range ports {
		if listens(port) {
			errs = append(errs, fmt.Errorf("port %s is taken", port))
		}
	}
	return errors.Join(errs...)
}

// filesLeft says what files there are that only a process makes sense of: temporary ones, and locks that are held.
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
			err = errors.Join(err, fmt.Errorf("%s is held", path))
		}
		f.Close()
	}
	return err
}

// listens says whether anybody takes connections at a port of this machine.
func listens(port string) bool {
	c, err := net.DialTimeout("tcp", "127.0.0.1:"+port, time.Second)
	if err == nil {
		c.Close()
	}
	return err == nil
}
