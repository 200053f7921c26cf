//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"paas/lab/proc"
)

// nodemonVersion is the version of nodemon that is compared.
const nodemonVersion = "3.1.14"

// quiet is the pause before each change.
const quiet = 1100 * time.Millisecond

// bigTree and commitFiles are the number of files in the large tree, and in a commit.
const (
	bigTree     = 20_000
	commitFiles = 2_000
)

// watchResult compares `paas watch` with nodemon, on a tree of the example's size and on a large
// one.
type watchResult struct {
	Boot                 []time.Duration // node alone, from its start to its first answer
	Ours, OursBig        watchReading
	Nodemon, NodemonBig  watchReading
	IdleFor, CommitLimit time.Duration
}

// watchReading has the figures of one watcher.
type watchReading struct {
	Changes  []time.Duration // from a change until the new process answered
	Memory   memory          // of the watcher, without the app
	Idle     time.Duration   // processor time of the watcher while nothing changed
	Restarts int             // after one commit
}

// measureWatch measures both at the same time, in turns. It needs npm.
func measureWatch(ctx context.Context, o options, c *client) (*watchResult, error) {
	nodemon, err := installNodemon(ctx)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errSkipped, err)
	}
	res := &watchResult{IdleFor: 20 * time.Second, CommitLimit: 15 * time.Second}
	var watched []*watchedApp
	defer func() {
		for _, w := range watched {
			w.stop()
		}
	}()
	for _, one := range []struct {
		name    string
		files   int
		argv    []string
		reading *watchReading
	}{
		{"paas", 0, []string{o.Paas, "watch", "--", "node", "server.js"}, &res.Ours},
		{"nodemon", 0, []string{"node", nodemon, "server.js"}, &res.Nodemon},
		{"paas-big", bigTree, []string{o.Paas, "watch", "--", "node", "server.js"}, &res.OursBig},
		{"nodemon-big", bigTree, []string{"node", nodemon, "server.js"}, &res.NodemonBig},
	} {
		progress("watch: start %s", one.name)
		w, err := startWatched(ctx, c, example, one.name, one.files, one.argv, one.reading)
		if err != nil {
			return nil, err
		}
		watched = append(watched, w)
	}
	progress("watch: idle for %s", res.IdleFor)
	if err := watchIdle(ctx, res.IdleFor, watched); err != nil {
		return nil, err
	}
	for i := range o.Pushes {
		progress("watch: change %d of %d", i+1, o.Pushes)
		for j := range watched { // another one is first each time
			if err := watched[(i+j)%len(watched)].change(ctx); err != nil {
				return nil, err
			}
		}
		boot, err := watchBoot(ctx, watched[0])
		if err != nil {
			return nil, err
		}
		res.Boot = append(res.Boot, boot)
	}
	for _, w := range watched {
		progress("watch: a commit of %d files, %s", commitFiles, w.name)
		if err := w.commit(ctx, res.CommitLimit); err != nil {
			return nil, err
		}
	}
	return res, nil
}

// installNodemon installs nodemon into a cache folder, once, and returns the path of its program.
func installNodemon(ctx context.Context) (string, error) {
	if _, err := exec.LookPath("npm"); err != nil {
		return "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "paas-bench", "nodemon-"+nodemonVersion)
	program := filepath.Join(dir, "node_modules", "nodemon", "bin", "nodemon.js")
	if _, err := os.Stat(program); err == nil {
		return program, nil
	}
	progress("watch: npm install nodemon@%s", nodemonVersion)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	_, err = proc.Output(proc.Command(ctx, os.Environ(), "npm", "install", "--silent", "--no-audit",
		"--no-fund", "--prefix", dir, "nodemon@"+nodemonVersion))
	return program, err
}

// watchedApp is the example under a watcher, in a tree of its own.
type watchedApp struct {
	name    string
	dir     string
	log     string // output of app and watcher
	cmd     *exec.Cmd
	target  target
	web     *http.Client
	changes int
	reading *watchReading
}

func startWatched(
	ctx context.Context, c *client, example, name string, files int, argv []string,
	reading *watchReading,
) (*watchedApp, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	w := &watchedApp{
		name: name, dir: filepath.Join(c.dir, "watch", name, "app"), log: filepath.Join(c.dir, "watch",
			name, "log"), reading: reading,
		target: target{name: name, addr: addr, host: "localhost"},
	}
	w.web = w.target.client(false)
	if err := copyTree(w.dir, example); err != nil {
		return nil, err
	}
	for i := range files {
		if err := w.write(fmt.Sprintf("lib/%d/%d.js", i%200, i), "// nothing\n"); err != nil {
			return nil, err
		}
	}
	log, err := os.Create(w.log)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	// Without a terminal, nodemon would read commands from its standard input.
	w.cmd = proc.Command(ctx, append(os.Environ(), "PORT="+portOf(addr), "PAAS_ROOT=/nowhere"),
		argv[0], argv[1:]...)
	w.cmd.Dir, w.cmd.Stdout, w.cmd.Stderr = w.dir, log, log
	if err := w.cmd.Start(); err != nil {
		return nil, err
	}
	if err := w.await(ctx, "ok"); err != nil {
		w.stop()
		return nil, err
	}
	return w, proc.Wait(ctx, 3*time.Second) // nodemon answers before it has scanned all files
}

func (w *watchedApp) stop() {
	slow := time.AfterFunc(10*time.Second, func() { w.cmd.Process.Kill() })
	defer slow.Stop()
	w.cmd.Process.Signal(syscall.SIGTERM)
	w.cmd.Wait()
}

// write replaces a file atomically, as editors and git do.
func (w *watchedApp) write(path, text string) error {
	path = filepath.Join(w.dir, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path+".tmp", []byte(text), 0o644); err != nil {
		return err
	}
	return os.Rename(path+".tmp", path)
}

// await requests /health, about once a millisecond over new connections, until it contains mark.
func (w *watchedApp) await(ctx context.Context, mark string) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	for {
		if body, err := get(ctx, w.web, w.target, "/health"); err == nil && bytes.Contains(body,
			[]byte(mark)) {
			return nil
		}
		if err := proc.Wait(ctx, time.Millisecond); err != nil {
			text, _ := os.ReadFile(w.log)
			return fmt.Errorf("%s does not answer %q: %w\n%s", w.name, mark, err, text)
		}
	}
}

// change changes the app's answer and measures how long it takes to arrive.
func (w *watchedApp) change(ctx context.Context) error {
	if err := proc.Wait(ctx, quiet); err != nil {
		return err
	}
	w.changes++
	mark := fmt.Sprintf("change-%d-", w.changes)
	text, err := os.ReadFile(filepath.Join(w.dir, "server.js"))
	if err != nil {
		return err
	}
	before := "'ok\\n'"
	if w.changes > 1 {
		before = fmt.Sprintf("'change-%d-\\n'", w.changes-1)
	}
	after := strings.Replace(string(text), before, "'"+mark+"\\n'", 1)
	start := time.Now()
	if err := w.write("server.js", after); err != nil {
		return err
	}
	if err := w.await(ctx, mark); err != nil {
		return err
	}
	w.reading.Changes = append(w.reading.Changes, time.Since(start))
	return nil
}

// commit writes many files and counts the restarts, until there was none for three seconds.
func (w *watchedApp) commit(ctx context.Context, limit time.Duration) error {
	before, err := w.restarts()
	if err != nil {
		return err
	}
	for i := range commitFiles {
		if err := w.write(fmt.Sprintf("commit/%d/%d.js", i%50, i), "// something\n"); err != nil {
			return err
		}
	}
	last, since := before, time.Now()
	for end := time.Now().Add(limit); time.Now().Before(end) && time.Since(since) < 3*time.Second; {
		if err := proc.Wait(ctx, 100*time.Millisecond); err != nil {
			return err
		}
		now, err := w.restarts()
		if err != nil {
			return err
		}
		if now != last {
			last, since = now, time.Now()
		}
	}
	w.reading.Restarts = last - before
	return nil
}

// restarts returns how often the watcher reported a restart. The app may die before it can report
// that it listens.
func (w *watchedApp) restarts() (int, error) {
	text, err := os.ReadFile(w.log)
	return strings.Count(string(text), "restarting"), err
}

// watchIdle measures all watchers while nothing changes.
func watchIdle(ctx context.Context, length time.Duration, watched []*watchedApp) error {
	before := make([]time.Duration, len(watched))
	for i, w := range watched {
		var err error
		if before[i], err = used(w.cmd.Process.Pid); err != nil {
			return err
		}
	}
	if err := proc.Wait(ctx, length); err != nil {
		return err
	}
	for i, w := range watched {
		after, err := used(w.cmd.Process.Pid)
		if err != nil {
			return err
		}
		w.reading.Idle = after - before[i]
		if w.reading.Memory, err = readMemory([]int{w.cmd.Process.Pid}); err != nil {
			return err
		}
		w.reading.Memory.After = length
	}
	return nil
}

// watchBoot starts the app of w without a watcher, on a port of its own, after the same pause.
func watchBoot(ctx context.Context, w *watchedApp) (time.Duration, error) {
	if err := proc.Wait(ctx, quiet); err != nil {
		return 0, err
	}
	addr, err := freeAddr()
	if err != nil {
		return 0, err
	}
	alone := *w
	alone.target.addr = addr
	alone.web = alone.target.client(false)
	alone.cmd = proc.Command(ctx, append(os.Environ(), "PORT="+portOf(addr)), "node", "server.js")
	alone.cmd.Dir = w.dir
	start := time.Now()
	if err := alone.cmd.Start(); err != nil {
		return 0, err
	}
	defer alone.stop()
	err = alone.await(ctx, fmt.Sprintf("change-%d-", w.changes))
	return time.Since(start), err
}

func portOf(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }

func (r *watchResult) rows(print row) {
	boot := median(r.Boot, itself)
	print(fmt.Sprintf("node, from start to first answer, median of %d", len(r.Boot)), "", ms(boot), "",
		"")
	for _, one := range []struct {
		tree          string
		ours, nodemon watchReading
	}{{"small tree", r.Ours, r.Nodemon}, {fmt.Sprintf("%d files", bigTree), r.OursBig, r.NodemonBig}} {
		ours, nodemon := median(one.ours.Changes, itself), median(one.nodemon.Changes, itself)
		print("file change to new process answering, "+one.tree, ms(ours), ms(nodemon)+" (nodemon)",
			ratio(ours, nodemon), fmt.Sprintf("at most %s",
				ms(boot+20*time.Millisecond)))
		print("memory of the watcher, "+one.tree,
			fmt.Sprintf("%.1f MB resident, %.1f proportional", one.ours.Memory.Resident,
				one.ours.Memory.Proportional),
			fmt.Sprintf("%.1f MB resident, %.1f proportional (nodemon)", one.nodemon.Memory.Resident,
				one.nodemon.Memory.Proportional),
			fmt.Sprintf("%.2f", one.ours.Memory.Resident/one.nodemon.Memory.Resident), "at most 0.30")
		print("its processor time, idle, "+one.tree, share(one.ours.Idle, r.IdleFor),
			share(one.nodemon.Idle, r.IdleFor)+" (nodemon)", "", "")
		print(fmt.Sprintf("restarts for a commit of %d files, %s", commitFiles, one.tree),
			fmt.Sprint(one.ours.Restarts),
			fmt.Sprintf("%d (nodemon)", one.nodemon.Restarts), "", "1")
	}
}
