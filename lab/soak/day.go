//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"time"

	"paas/lab/proc"
)

// day is one run of the soak: a server, a person, apps and visitors.
type day struct {
	options
	began   time.Time
	dir     string // for all files
	root    string // the volume
	small   bool   // it is on a disk that can be filled
	server  *server
	clock   *clock // nil: the clock cannot be moved
	person  *person
	visitor *visitor
	apps    []*app

	visits            visits
	findings          findings
	outages           outages
	lives             []lifetime
	rounds            int
	disruptions, done map[string]int // counts by name
	outcomes          map[string]int
	goroutines        int // at the last check; -1: not counted

	exposed sync.Once // reports once that isolation is off

	stop context.CancelCauseFunc // ends the day at the first broken promise

	diary struct {
		sync.Mutex
		file  *os.File
		lines []string
	}
}

// lifetime is one process of the server, with its usage at its first and last check.
type lifetime struct {
	first, last figures
	checks      int
}

var (
	errBroken      = errors.New("a promise was broken")
	errInterrupted = errors.New("interrupted")
)

func newDay(ctx context.Context, o options) (_ *day, err error) {
	if err := proc.Adopt(); err != nil {
		return nil, err
	}
	d := &day{options: o, began: time.Now(), disruptions: map[string]int{}, done: map[string]int{},
		outcomes: map[string]int{}, goroutines: -1}
	d.visits.Excused = map[string]int{}
	if d.dir, err = os.MkdirTemp("", "paas-soak-"); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			proc.EndAll()
			err = errors.Join(err, d.remove())
		}
	}()
	d.root = filepath.Join(d.dir, "root")
	bin := filepath.Join(d.dir, "bin")
	// Apps may run as other users, who must be able to execute the files in bin.
	if err := errors.Join(os.Chmod(d.dir, 0o711), os.Mkdir(d.root, 0o700),
		os.Mkdir(bin, 0o755)); err != nil {
		return nil, err
	}
	if d.diary.file, err = os.Create(filepath.Join(d.dir, "diary.log")); err != nil {
		return nil, err
	}
	progress("-----> soak: seed %d, %v minutes, in %s", o.Seed, o.Minutes, d.dir)
	if err := smallDisk(d.root); err != nil {
		progress(" !     skipped: filling the disk: %v", err)
	} else {
		d.small = true
	}
	progress("-----> building paas")
	binary, clock, err := build(ctx, bin, o.Race)
	if err != nil {
		return nil, err
	}
	d.clock = clock
	d.server = newServer(binary, d.root, filepath.Join(d.dir, "server.log"))
	if d.person, err = newPerson(ctx, filepath.Join(d.dir, "home"), d.server); err != nil {
		return nil, err
	}
	if _, err := proc.Output(d.person.verb(ctx, false, "keys:add", "soak",
		d.person.Key+".pub")); err != nil {
		return nil, err
	}
	if err := d.server.start(ctx); err != nil {
		return nil, d.explain(err)
	}
	d.visitor = newVisitor("127.0.0.1:" + d.server.httpPort)
	for _, k := range apps {
		d.apps = append(d.apps, newApp(k, filepath.Join(d.dir, "home"), time.Now()))
	}
	d.lives = append(d.lives, lifetime{})
	d.began = time.Now()
	return d, d.person.trust(ctx)
}

func (d *day) explain(err error) error {
	text, _ := os.ReadFile(d.server.log)
	return fmt.Errorf("%w\n%s", err, last(string(text)))
}

// run runs rounds for the given time, and checks everything after each of them.
func (d *day) run(ctx context.Context, length time.Duration) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	d.stop = stop
	visiting, leave := context.WithCancel(ctx)
	var visitors sync.WaitGroup
	defer visitors.Wait()
	defer leave()

	d.each(func(a *app) { d.goodPush(ctx, a, op{Do: opPush}) })
	d.check(ctx)
	for _, a := range d.apps {
		visitors.Go(func() { d.visit(visiting, a) })
	}
	plan := newPlan(d.Seed, len(d.apps))
	for began := time.Now(); time.Since(began) < length && ctx.Err() == nil; {
		r := plan.next()
		d.rounds++
		d.write("%v", r)
		d.round(ctx, r)
		d.check(ctx)
		if r.Disruption == disruptStop && ctx.Err() == nil { // again, without any other activity
			d.tidied(ctx)
			over := d.outage("stop and start of the server")
			d.stopGracefully(true)
			d.revive(ctx, over)
		}
		switch r.Disruption {
		case disruptServer, disruptReload, disruptUpgrade:
			d.sameProcesses(ctx, r.Disruption)
		}
		d.showProgress(time.Since(began), length)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	d.write("the day is over; the last checks")
	leave()
	visitors.Wait()
	d.lastChecks(ctx)
	return context.Cause(ctx)
}

// each calls do for all apps in parallel.
func (d *day) each(do func(*app)) {
	var all sync.WaitGroup
	for _, a := range d.apps {
		all.Go(func() { do(a) })
	}
	all.Wait()
}

// round carries out one round of the plan.
func (d *day) round(ctx context.Context, r round) {
	d.server.note("round %d: %s", r.N, r.Disruption)
	var all sync.WaitGroup
	all.Go(func() { d.disruption(ctx, r) })
	for i, a := range d.apps {
		all.Go(func() {
			for _, o := range r.Ops[i] {
				if proc.Wait(ctx, o.Pause) != nil {
					return
				}
				d.do(ctx, a, o)
			}
		})
	}
	all.Wait()
}

// showProgress prints the progress at the terminal.
func (d *day) showProgress(passed, length time.Duration) {
	d.visits.mu.Lock()
	defer d.visits.mu.Unlock()
	if d.rounds%5 == 0 {
		progress("       %3.0f%%  %d rounds, %d answers", min(100, 100*passed.Seconds()/length.Seconds()),
			d.rounds, d.visits.Served)
	}
}

// broken records a broken promise and ends the day. Later failures may only be its consequences.
func (d *day) broken(p promise, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if how := d.server.crashed(); how != "" {
		text = "the server exited: " + how + "; " + text
	}
	d.write("BROKEN: %v: %s", p, text)
	if d.findings.add(p, text) && d.stop != nil {
		d.server.note("BROKEN: %v: %s", p, text)
		d.stop(errBroken)
	}
}

// kept records that a promise was checked and kept.
func (d *day) kept(p promise) { d.findings.kept(p) }

// write adds a line to the diary.
func (d *day) write(format string, args ...any) {
	line := d.stamp(time.Now()) + " " + fmt.Sprintf(format, args...)
	d.diary.Lock()
	defer d.diary.Unlock()
	fmt.Fprintln(d.diary.file, line)
	d.diary.lines = append(d.diary.lines, line)
	if len(d.diary.lines) > 60 {
		d.diary.lines = d.diary.lines[20:]
	}
}

// stamp formats a time for the diary: the machine's clock, as in the server's log, and the time
// since the day began.
func (d *day) stamp(t time.Time) string {
	since := t.Sub(d.began)
	return fmt.Sprintf("%s (%02d:%06.3f)", t.UTC().Format("15:04:05.000"), int(since.Minutes()),
		(since % time.Minute).Seconds())
}

// end stops everything, reports, and removes the files unless they are needed.
func (d *day) end(err error) error {
	if d.server.running() {
		d.server.end(syscall.SIGKILL, 10*time.Second)
	}
	proc.EndAll()
	d.report(os.Stdout)
	if d.findings.broken == "" && (err == nil || errors.Is(err, errInterrupted)) {
		return errors.Join(err, d.remove())
	}
	fmt.Printf("\nWhat happened last:\n")
	for _, line := range d.diary.lines[max(0, len(d.diary.lines)-40):] {
		fmt.Println(strings.ReplaceAll(line, "\n", "\n  "))
	}
	if d.small { // the disk is unmounted when this process exits
		_, copyErr := proc.Output(proc.Command(context.Background(), os.Environ(), "cp", "-a", d.root,
			filepath.Join(d.dir, "root-kept")))
		err = errors.Join(err, copyErr)
		unmount(d.root)
	}
	race := ""
	if d.Race {
		race = " --race"
	}
	fmt.Printf("\nkept: %s (diary.log, server.log, and the volume)\n", d.dir)
	fmt.Printf("again: scripts/soak --minutes %v --seed %d%s\n", d.Minutes, d.Seed, race)
	return err
}

func (d *day) remove() error {
	if d.small {
		unmount(d.root)
	}
	return proc.RemoveAll(d.dir)
}
