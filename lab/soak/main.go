//go:build linux

// Command soak puts a real paas server through a busy day and checks the promises of the README.
// People push good and broken commits, change config, roll back, scale and destroy apps. Builds,
// apps, the pushers' git and ssh, and the server itself are killed at random moments. The disk
// fills up, the clock jumps, the server is suspended. Meanwhile visitors send requests to every
// app. docs/soak.md lists the checks; scripts/soak builds and runs it.
//
// It knows the server only from outside: git and ssh, the command line, HTTP, and /proc. In the
// volume it looks only for locks and tmp/, which a stopped server must not leave. The [model] knows
// what an app may answer at any moment. The [plan], a function of the seed, decides what happens
// next. Both are tested without a server.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// options are the flags.
type options struct {
	Minutes float64
	Seed    uint64
	Race    bool
}

func parse(args []string) (options, error) {
	o := options{Seed: uint64(rand.Uint32())} // short enough to type
	f := flag.NewFlagSet("soak", flag.ContinueOnError)
	f.Float64Var(&o.Minutes, "minutes", 10, "length of the day; the last checks come after it")
	f.Uint64Var(&o.Seed, "seed", o.Seed, "seed of all random choices; by default a random one")
	f.BoolVar(&o.Race, "race", false, "build the server with the race detector")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unknown argument %q", f.Arg(0))
	}
	if o.Minutes <= 0 || o.Minutes > 7*24*60 {
		return o, errors.New("--minutes must be more than 0 and at most a week")
	}
	return o, nil
}

func main() {
	o, err := parse(os.Args[1:])
	if errors.Is(err, flag.ErrHelp) {
		return
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(2)
	}
	if err := ownMounts(); err != nil { // executes this program again
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM,
		syscall.SIGHUP)
	defer cancel()
	day, err := newDay(ctx, o)
	if err == nil {
		err = day.run(ctx, time.Duration(o.Minutes*float64(time.Minute)))
		if ctx.Err() != nil {
			err = errInterrupted
		}
		err = day.end(err)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
}
