//go:build linux

// Command soak drives a real paas server like a busy day and holds what it sees against the promises of
// the README: people push good and broken commits, change config, roll back, scale, destroy; builds, apps,
// the pushers' git and ssh, and the server itself are killed at random moments; the disk fills, the clock
// jumps, the server is suspended; and visitors ask every app all the while. docs/soak.md says what is
// checked; scripts/soak builds and runs it.
//
// It knows the server by its doors alone: git and ssh, the command line, HTTP, and what /proc says. Of the
// volume it looks at what a stopped server must not leave: locks and tmp/. What an app may answer at any moment is the
// [model]'s to say; what happens next, the [plan]'s, which is a function of the seed. What the two say is
// tested without a server; everything else here is carrying out and looking.
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
	Keep    bool
}

func parse(args []string) (options, error) {
	o := options{Seed: uint64(rand.Uint32())} // short enough to be typed
	f := flag.NewFlagSet("soak", flag.ContinueOnError)
	f.Float64Var(&o.Minutes, "minutes", 10, "how long the day is; the last checks come after it")
	f.Uint64Var(&o.Seed, "seed", o.Seed, "what all chance comes from; by default another one each time")
	f.BoolVar(&o.Race, "race", false, "build the server with the race detector")
	f.BoolVar(&o.Keep, "keep", false, "keep files and logs when nothing failed, too")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("unknown argument %q", f.Arg(0))
	}
	if o.Minutes <= 0 || o.Minutes > 7*24*60 {
		return o, errors.New("--minutes: more than 0, and at most a week's")
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
	if err := ownMounts(); err != nil { // starts this program anew, before anything else is
		fmt.Fprintln(os.Stderr, "soak:", err)
		os.Exit(1)
	}
	ctx, cancel := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
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
