//go:build linux

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"paas/lab/proc"
)

// rollbackResult is the time of a rollback, from the start of the command to the first answer of
// the old version, and the part of it that the app needs to boot.
type rollbackResult struct {
	Local, SSH []time.Duration // the command on the server, and over a new ssh connection
	Boot       []time.Duration // node in the same build, from its start to its first answer
	SSHAlone   []time.Duration // a command over ssh that does almost nothing
}

// measureRollback rolls back and forth between two versions of the example.
func measureRollback(ctx context.Context, o options, c *client) (*rollbackResult, error) {
	r, err := startServer(ctx, o.Paas, c, nil)
	if err != nil {
		return nil, err
	}
	defer r.stop()
	app := r.app("blog")
	var marks []string // of v1 and v2; each rollback goes to the other one
	for range 2 {
		mark, err := c.change(ctx)
		if err == nil {
			_, err = c.pushUntil(ctx, app, mark)
		}
		if err != nil {
			return nil, err
		}
		marks = append(marks, mark)
	}
	trees, err := filepath.Glob(filepath.Join(r.root, "apps", "blog", "builds", "*", "tree"))
	if err != nil || len(trees) == 0 {
		return nil, errors.Join(errors.New("no build"), err)
	}
	local := append([]string{o.Paas}, "rollback", "blog")
	remote := append(c.SSH(), "-p", r.ssh.Port(), "bench@127.0.0.1")
	res := &rollbackResult{}
	for round := range o.Pushes {
		progress("rollback %d of %d", round+1, o.Pushes)
		for _, way := range []struct {
			to      *[]time.Duration
			command []string
			until   string
		}{
			{&res.Local, local, marks[0]},
			{&res.SSH, append(remote[:len(remote):len(remote)], "rollback", "blog"), marks[1]},
			{&res.SSHAlone, append(remote[:len(remote):len(remote)], "url", "blog"), ""},
		} {
			took, err := r.timed(ctx, app, way.command, way.until)
			if err != nil {
				return nil, fmt.Errorf("%v: %w", way.command, err)
			}
			*way.to = append(*way.to, took)
			time.Sleep(settle)
		}
		took, err := boot(ctx, trees[0])
		if err != nil {
			return nil, err
		}
		res.Boot = append(res.Boot, took)
		time.Sleep(settle)
	}
	return res, nil
}

// timed runs a command and returns how long it took until the front page contained mark or, if mark
// is empty, until the command exited.
func (r *server) timed(
	ctx context.Context, t target, argv []string, mark string,
) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	web := t.client(true)
	defer web.CloseIdleConnections()
	get(ctx, web, t, "/") // opens the connection
	cmd := proc.Command(ctx, r.env, argv[0], argv[1:]...)
	ended := make(chan error, 1)
	start := time.Now()
	go func() {
		_, err := proc.Output(cmd)
		ended <- err
	}()
	if mark == "" {
		err := <-ended
		return time.Since(start), err
	}
	for ctx.Err() == nil {
		if body, err := get(ctx, web, t, "/"); err == nil && bytes.Contains(body, []byte(mark)) {
			took := time.Since(start)
			return took, <-ended
		}
		time.Sleep(time.Millisecond)
	}
	return 0, errors.Join(ctx.Err(), <-ended)
}

func (r *rollbackResult) rows(print row) {
	boot := median(r.Boot, itself)
	one := func(what string, took []time.Duration, target string) {
		m := median(took, itself)
		print(fmt.Sprintf("rollback %s, command to first answer, median of %d", what, len(took)), ms(m),
			ms(boot)+" (the app's own boot)",
			fmt.Sprintf("boot + %s", ms(m-boot)), target)
	}
	one("on the server", r.Local, "boot + 100 ms")
	one("over ssh", r.SSH, "")
	print("the longest of them", ms(max(percentile(r.Local, itself, 100),
		percentile(r.SSH, itself, 100))), "", "", "1 s")
	print("a command over ssh that does nothing, median", ms(median(r.SSHAlone, itself)), "", "", "")
}
