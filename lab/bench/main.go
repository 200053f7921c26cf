//go:build linux

// Command bench measures a paas server on this machine, and compares it with what one would use
// without it: pushes with OpenSSH and a short hook, the router with no proxy and with the standard
// library's, the sidecar with a loop of git pull, paas watch with nodemon. docs/benchmarks.md
// explains each figure; scripts/bench builds and runs it. It uses only loopback, and ends every
// process that it started.
package main

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"paas/lab/proc"
)

// example is the app that is pushed.
const example = "examples/node"

// options are the flags.
type options struct {
	Paas     string // the binary to measure
	Next     string // another one, for upgrades
	Only     []string
	Pushes   int
	Deploys  int
	Restarts int
	Rounds   int
	Seconds  int
	Short    bool
	JSON     bool
}

// phase measures one part.
type phase struct {
	name    string
	measure func(context.Context, options, *client) (figures, error)
}

// figures is the result of a phase.
type figures interface{ rows(row) }

// errSkipped is returned by phases that this machine lacks something for.
var errSkipped = errors.New("skipped")

var phases = []phase{
	{"push", as(measurePush)}, {"onefile", as(measureOneFile)}, {"load", as(measureLoad)},
	{"memory", as(measureMemory)}, {"router", as(measureRouter)}, {"front", as(measureFront)},
	{"sidecar", as(measureSidecar)}, {"watch", as(measureWatch)}, {"https", as(measureHTTPS)},
	{"rollback", as(measureRollback)},
	{"reinstall", as(measureReinstall)}, {"logs", as(measureLogs)},
	{"formation", as(measureFormation)}, {"sleep", as(measureSleep)},
	{"sleepers", as(measureSleepers)}, {"isolation", as(measureIsolation)},
	{"builds", as(measureBuilds)}, {"growth", as(measureGrowth)},
	{"files", as(measureOneLine)}, {"restart", as(measureRestart)}, {"contained", as(measureContained)},
}

func as[F figures](
	measure func(context.Context, options, *client) (F, error),
) func(context.Context, options, *client) (figures, error) {
	return func(ctx context.Context, o options, c *client) (figures,
		error) {
		return measure(ctx, o, c)
	}
}

func parse(args []string) (options, error) {
	var names []string
	for _, p := range phases {
		names = append(names, p.name)
	}
	var o options
	var only string
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.StringVar(&o.Paas, "paas", "bin/paas", "the paas binary")
	f.StringVar(&o.Next, "next", "", "another paas binary, for upgrades (default the same)")
	f.StringVar(&only, "only", strings.Join(names, ","), "what to measure")
	f.IntVar(&o.Pushes, "pushes", 21, "pushes to each system")
	f.IntVar(&o.Deploys, "deploys", 20, "deploys under load to each system")
	f.IntVar(&o.Restarts, "restarts", 20, "restarts of each kind")
	f.IntVar(&o.Rounds, "rounds", 5, "rounds of load on the router")
	f.IntVar(&o.Seconds, "seconds", 4, "seconds of load on each target in a round")
	f.BoolVar(&o.Short, "short", false, "growth: stop at smaller numbers")
	f.BoolVar(&o.JSON, "json", false, "print JSON instead of a table")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unknown argument %q", f.Arg(0))
	}
	if min(o.Pushes, o.Deploys, o.Restarts, o.Rounds, o.Seconds) < 1 {
		return o, errors.New("--pushes, --deploys, --restarts, --rounds and --seconds must be at least 1")
	}
	o.Next = cmp.Or(o.Next, o.Paas)
	o.Only = strings.Split(only, ",")
	for _, name := range o.Only {
		if !slices.Contains(names, name) {
			return o, fmt.Errorf("--only: no phase %q; the phases are %s", name, strings.Join(names, ", "))
		}
	}
	return o, nil
}

func main() {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "backend": // the app behind the router
			exit(serveBackend())
		case "storm": // an app that misbehaves
			exit(serveStorm(os.Args[2:]))
		case "proxy": // the proxy that the router is compared with
			exit(serveProxy(os.Args[2:]))
		}
	}
	o, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(2)
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM,
		syscall.SIGHUP)
	defer cancel()
	all, err := run(ctx, o)
	if ctx.Err() != nil {
		err = errors.New("interrupted")
	}
	if err == nil && o.JSON {
		err = printJSON(os.Stdout, all)
	} else if err == nil {
		printTable(os.Stdout, all)
	}
	exit(err)
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// run measures the phases of o in a temporary folder, and leaves no files or processes behind.
func run(ctx context.Context, o options) (all []result, err error) {
	if err := proc.Adopt(); err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "paas-bench-")
	if err != nil {
		return nil, err
	}
	defer func() {
		proc.EndAll()
		err = errors.Join(err, proc.RemoveAll(dir))
	}()
	if o.Paas, err = filepath.Abs(o.Paas); err != nil {
		return nil, err
	}
	if o.Next, err = filepath.Abs(o.Next); err != nil {
		return nil, err
	}
	client, err := newClient(ctx, dir, example)
	if err != nil {
		return nil, err
	}
	for _, p := range phases {
		if !slices.Contains(o.Only, p.name) {
			continue
		}
		f, err := p.measure(ctx, o, client)
		if errors.Is(err, errSkipped) {
			progress("%s: %v", p.name, err)
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.name, err)
		}
		all = append(all, result{p.name, f})
	}
	return all, nil
}

// progress prints to standard error; standard output has only the table.
func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "-----> "+format+"\n", args...)
}
