//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"paas/lab/proc"
)

const (
	calmRate  = 200             // requests a second to the app that is watched
	stormTime = 6 * time.Second // of one measurement
	stormPush = time.Second     // until a storm is at its height
	flood     = 2000            // connections that are held open, half of them in a request
)

// containedResult has what visitors of one app notice while another app misbehaves.
type containedResult struct{ Storms []storm }

// storm is one kind of misbehaviour. Calm is measured before and after each storm.
type storm struct {
	Name         string
	Calm, During []visits
}

// stormApp has a type of processes for each kind of storm. One process of web keeps it deployed.
const stormApp = `web: ./backend backend
logs: ./backend storm logs
crash: ./backend storm crash
spin: ./backend storm spin
fill: ./backend storm fill
`

// measureContained asks one app at a calm rate, with and without each storm in another app.
func measureContained(ctx context.Context, o options, c *client) (*containedResult, error) {
	s, err := startServer(ctx, o.Paas, c, nil)
	if err != nil {
		return nil, err
	}
	defer s.stop()
	calm, wild := s.app("calm"), s.app("wild")
	progress("contained: deploying two apps")
	if err := pushBackend(ctx, c, calm); err != nil {
		return nil, err
	}
	dir, err := pushStorms(ctx, c, wild)
	if err != nil {
		return nil, err
	}
	scaled := func(kind string, n int) func(context.Context) error {
		scale := func(n int) error {
			_, err := s.run(ctx, "ps:scale", "wild", fmt.Sprintf("%s=%d", kind, n))
			if kind == "crash" {
				return nil // the command reports the crashes
			}
			return err
		}
		return func(raging context.Context) error {
			if err := scale(n); err != nil {
				return err
			}
			<-raging.Done()
			return scale(0)
		}
	}
	storms := []struct {
		name string
		rage func(context.Context) error // until its ctx ends
	}{
		{"an app prints as fast as it can", scaled("logs", 2)},
		{"processes that exit at once", scaled("crash", 5)},
		{"an app uses all processors", scaled("spin", 4)},
		{"an app fills its files", scaled("fill", 1)},
		{fmt.Sprintf("%d connections to an app are held open", flood),
			func(raging context.Context) error { return hold(raging, wild) }},
		{"a build uses all processors", func(raging context.Context) error { return build(raging, c, dir, wild) }},
	}
	res := &containedResult{}
	for _, kind := range storms {
		now := storm{Name: kind.name}
		for round := range min(o.Rounds, 3) {
			progress("contained: %s, %d of %d", kind.name, round+1, min(o.Rounds, 3))
			now.Calm = append(now.Calm, observe(ctx, calm))
			raging, end := context.WithCancel(ctx)
			over := make(chan error, 1)
			go func() { over <- kind.rage(raging) }()
			if proc.Wait(ctx, stormPush) == nil {
				now.During = append(now.During, observe(ctx, calm))
			}
			end()
			if err := errors.Join(<-over, context.Cause(ctx)); err != nil {
				return nil, err
			}
		}
		res.Storms = append(res.Storms, now)
	}
	return res, nil
}

// observe asks the app at a calm rate for a while.
func observe(ctx context.Context, app target) visits {
	ctx, cancel := context.WithTimeout(ctx, stormTime)
	defer cancel()
	return sum(visit(ctx, app, calmRate))
}

// pushStorms deploys the app that misbehaves, and returns its folder.
func pushStorms(ctx context.Context, c *client, t target) (dir string, err error) {
	if dir, err = os.MkdirTemp(c.dir, "storms-"); err != nil {
		return "", err
	}
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	err = errors.Join(proc.Replace(filepath.Join(dir, "backend"), self),
		os.WriteFile(filepath.Join(dir, "Procfile"), []byte(stormApp), 0o644),
		os.WriteFile(filepath.Join(dir, "package.json"),
			[]byte(`{"scripts": {"build": "./backend storm build"}}`), 0o644))
	if err != nil {
		return "", err
	}
	if err := c.commitAll(ctx, dir); err != nil {
		return "", err
	}
	return dir, c.git(ctx, dir, "push", t.remote, "main")
}

// build pushes a commit whose build uses all processors until ctx ends.
func build(ctx context.Context, c *client, dir string, t target) error {
	long := filepath.Join(dir, "long")
	if err := os.WriteFile(long, []byte(time.Now().String()), 0o644); err != nil {
		return err
	}
	for _, args := range [][]string{{"add", "-A"}, {"commit", "-qm", "a long build"}} {
		if err := c.git(ctx, dir, args...); err != nil {
			return err
		}
	}
	if err := c.git(ctx, dir, "push", t.remote, "main"); ctx.Err() == nil {
		return fmt.Errorf("the long build has ended: %w", err)
	}
	return nil
}

// hold opens connections to the app and keeps them until ctx ends: half of them idle, half in the
// middle of a request.
func hold(ctx context.Context, t target) error {
	for i := range flood {
		conn, err := net.Dial("tcp", t.addr)
		if err != nil {
			break // the server accepts no more from one address
		}
		defer conn.Close()
		if i%2 == 0 {
			fmt.Fprintf(conn, "POST / HTTP/1.1\r\nHost: %s\r\nContent-Length: 1000000\r\n\r\nx", t.host)
		}
	}
	<-ctx.Done()
	return nil
}

// serveStorm is a process of the app that misbehaves. It uses at most stormTime and some seconds.
func serveStorm(args []string) error {
	const most = stormTime + 4*time.Second
	kind := strings.Join(args, " ")
	spin := func() {
		for start := time.Now(); time.Since(start) < most; {
		}
	}
	switch kind {
	case "logs":
		line := []byte(strings.Repeat("x", 99) + "\n")
		for start := time.Now(); time.Since(start) < most; {
			os.Stdout.Write(line)
		}
	case "crash":
		return errors.New("crashed")
	case "fill":
		f, err := os.Create(filepath.Join(os.Getenv("DATA_DIR"), "much"))
		if err != nil {
			return err
		}
		block := make([]byte, 1<<20)
		for start := time.Now(); time.Since(start) < most; {
			for at := range int64(256) { // the same 256 MB again and again
				if _, err := f.WriteAt(block, at<<20); err != nil {
					return err
				}
			}
			f.Sync()
		}
	case "build":
		if _, err := os.Stat("long"); err != nil {
			return nil // of the first push
		}
		for range 3 {
			go spin()
		}
		spin()
	default:
		spin()
	}
	select {}
}

func (r *containedResult) rows(print row) {
	var failed int
	for _, s := range r.Storms {
		middle := func(v visits) time.Duration { return v.Median }
		late := func(v visits) time.Duration { return v.P99 }
		print(fmt.Sprintf("median answer of a calm app while %s", s.Name), ms(median(s.During, middle)),
			ms(median(s.Calm, middle))+" (calm)", ratio(median(s.During, middle), median(s.Calm, middle)), "at most 1.10")
		print("the same, 99th percentile", ms(median(s.During, late)), ms(median(s.Calm, late))+" (calm)",
			ratio(median(s.During, late), median(s.Calm, late)), "")
		for _, v := range s.During {
			failed += v.Failed
		}
	}
	print("failed requests of the calm app", fmt.Sprint(failed), "", "", "0")
}
