//go:build linux

// Command bench measures a paas server on the machine at hand against what one would do without
// it: pushes against OpenSSH and a four-line hook, the router against no proxy and against the
// standard library's, the sidecar against a loop of git pull, paas watch against nodemon. docs/benchmarks.md says what each figure means; scripts/bench builds and
// runs it. It uses loopback alone, and ends every process that it started.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"

	"paas/lab/proc"
)

// options are the flags.
type options struct {
	Paas    string // the binary to measure
	Example string // the app to push
	Only    map[string]bool
	Pushes  int
	Deploys int
	Apps    int
	Rounds  int
	Seconds int
	Short   bool
	JSON    bool
}

var phases = []string{"push", "onefile", "load", "memory", "router", "sidecar", "watch", "rollback", "reinstall", "logs", "formation", "sleep",
	"sleepers", "isolation", "builds", "growth"}

func parse(args []string) (options, error) {
	var o options
	var only string
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.StringVar(&o.Paas, "paas", "bin/paas", "the paas binary")
	f.StringVar(&o.Example, "example", "examples/node", "the app that is pushed")
	f.StringVar(&only, "only", strings.Join(phases, ","), "what to measure")
	f.IntVar(&o.Pushes, "pushes", 21, "pushes to each system")
	f.IntVar(&o.Deploys, "deploys", 20, "deploys under load, to each system")
	f.IntVar(&o.Apps, "apps", 10, "idle apps for the second reading of the memory, 2 or more")
	f.IntVar(&o.Rounds, "rounds", 5, "rounds of load on the router")
	f.IntVar(&o.Seconds, "seconds", 4, "seconds of load on each target in a round")
	f.BoolVar(&o.Short, "short", false, "growth: stop at smaller numbers")
	f.BoolVar(&o.JSON, "json", false, "print JSON in place of a table")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unknown argument %q", f.Arg(0))
	}
	if o.Pushes < 1 || o.Deploys < 1 || o.Apps < 2 || o.Rounds < 1 || o.Seconds < 1 {
		return o, errors.New("--pushes, --deploys, --rounds and --seconds need 1 or more, --apps 2")
	}
	o.Only = map[string]bool{}
	for _, name := range strings.Split(only, ",") {
		o.Only[name] = true
	}
	for _, name := range phases {
		delete(o.Only, name)
	}
	for name := range o.Only {
		return o, fmt.Errorf("--only: no phase %q; there are %s", name, strings.Join(phases, ", "))
	}
	for _, name := range strings.Split(only, ",") {
		o.Only[name] = true
	}
	return o, nil
}

func main() {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "backend": // this binary as the app behind the router
			exit(serveBackend())
		case "proxy": // this binary as the proxy to compare with
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
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer cancel()
	results, err := run(ctx, o)
	if ctx.Err() != nil {
		exit(errors.New("interrupted"))
	}
	if err != nil {
		exit(err)
	}
	if o.JSON {
		text, err := json.MarshalIndent(results, "", "  ")
		if err != nil {
			exit(err)
		}
		fmt.Println(string(text))
		return
	}
	results.table(os.Stdout)
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

// run makes the place to work in, measures what was asked for, and leaves neither files nor
// processes behind.
func run(ctx context.Context, o options) (res results, err error) {
	if err := proc.Adopt(); err != nil {
		return res, err
	}
	dir, err := os.MkdirTemp("", "paas-bench-")
	if err != nil {
		return res, err
	}
	defer func() {
		proc.EndAll()
		err = errors.Join(err, proc.RemoveAll(dir))
	}()
	if o.Paas, err = filepath.Abs(o.Paas); err != nil {
		return res, err
	}
	client, err := newClient(ctx, dir, o.Example)
	if err != nil {
		return res, err
	}
	if o.Only["push"] || o.Only["load"] {
		if err := measureDeploys(ctx, o, client, &res); err != nil {
			return res, err
		}
	}
	if o.Only["onefile"] {
		if res.OneFile, err = measureOneFile(ctx, o, dir); err != nil {
			return res, fmt.Errorf("onefile: %w", err)
		}
	}
	if o.Only["memory"] {
		if res.Memory, err = measureMemory(ctx, o, client); err != nil {
			return res, fmt.Errorf("memory: %w", err)
		}
	}
	if o.Only["router"] {
		if res.Router, err = measureRouter(ctx, o, client); err != nil {
			return res, fmt.Errorf("router: %w", err)
		}
	}
	if o.Only["sidecar"] {
		if res.Sidecar, err = measureSidecar(ctx, o, client); err != nil {
			return res, fmt.Errorf("sidecar: %w", err)
		}
	}
	if o.Only["watch"] {
		if res.Watch, err = watchBench(ctx, o, client); err != nil {
			return res, fmt.Errorf("watch: %w", err)
		}
	}
	if o.Only["rollback"] {
		if res.Rollback, err = measureRollback(ctx, o.Pushes, o.Paas, client); err != nil {
			return res, fmt.Errorf("rollback: %w", err)
		}
	}
	if o.Only["reinstall"] {
		if res.Reinstall, err = measureReinstall(ctx, o.Pushes, o.Paas, client); err != nil {
			return res, fmt.Errorf("reinstall: %w", err)
		}
	}
	if o.Only["logs"] {
		if res.Logs, err = measureLogs(ctx, o, client); err != nil {
			return res, fmt.Errorf("logs: %w", err)
		}
	}
	if o.Only["formation"] {
		if res.Formation, err = measureFormation(ctx, o, client); err != nil {
			return res, fmt.Errorf("formation: %w", err)
		}
	}
	if o.Only["sleep"] {
		if res.Sleep, err = measureSleep(ctx, o.Pushes, o.Paas, client); err != nil {
			return res, fmt.Errorf("sleep: %w", err)
		}
	}
	if o.Only["sleepers"] {
		if res.Sleepers, err = measureSleepers(ctx, o, client); err != nil {
			return res, fmt.Errorf("sleepers: %w", err)
		}
	}
	if o.Only["isolation"] {
		if res.Isolation, err = measureIsolation(ctx, o, client); err != nil {
			return res, fmt.Errorf("isolation: %w", err)
		}
	}
	if o.Only["builds"] {
		if res.Builds, err = measureBuilds(ctx, o, client); err != nil {
			return res, fmt.Errorf("builds: %w", err)
		}
	}
	if o.Only["growth"] {
		if res.Growth, err = measureGrowth(ctx, o, dir); err != nil {
			return res, fmt.Errorf("growth: %w", err)
		}
	}
	return res, nil
}

// measureDeploys gives both systems the same pushes.
func measureDeploys(ctx context.Context, o options, client *client, res *results) error {
	return besides(ctx, o, client, func(ours, floor target, naive *naive) (err error) {
		if o.Only["push"] {
			if res.Push, err = measurePush(ctx, o.Pushes, client, ours, floor, naive); err != nil {
				return fmt.Errorf("push: %w", err)
			}
		}
		if o.Only["load"] {
			if res.Load, err = measureLoad(ctx, o.Deploys, client, ours, floor); err != nil {
				return fmt.Errorf("load: %w", err)
			}
		}
		return nil
	})
}

// besides has both systems up side by side, with the app pushed to each, while measure runs.
func besides(ctx context.Context, o options, client *client, measure func(ours, floor target, naive *naive) error) error {
	server, err := startServer(ctx, o.Paas, client)
	if err != nil {
		return err
	}
	defer server.stop()
	naive, err := startNaive(ctx, client, o.Example)
	if err != nil {
		return fmt.Errorf("floor: %w", err)
	}
	defer naive.stop()
	ours, floor := server.app("blog"), naive.app()
	for _, app := range []target{ours, floor} {
		progress("first push, %s", app.name)
		if _, err := client.deploy(ctx, app); err != nil {
			return err
		}
	}
	return measure(ours, floor, naive)
}

// progress goes to standard error; standard output is the table alone.
func progress(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "-----> "+format+"\n", args...)
}
