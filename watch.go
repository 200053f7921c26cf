package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"paas/access"
	"paas/command"
	"paas/command/cli"
	"paas/signals"
	"paas/terminal"
	"paas/watch"
)

// watchRow is paas watch. It has nothing to do with a server: it reads no settings and needs no
// volume, so that it works in an app's container.
func watchRow() command.Row {
	return command.Raw[watchInput]{
		Head: command.Head{
			Name: "watch", Group: command.Operate, Needs: access.Anyone, More: watch.Manual(),
			Example: "-- node server.js",
			Short:   "run a command, and restart it when files change",
		},
		Run: runWatch,
	}
}

type watchInput struct {
	Argv   []string         `json:"argv" arg:"COMMAND..."`
	Dir    string           `json:"dir" flag:"dir" value:"DIR" default:"." help:"the folder to watch, and to run COMMAND in"`
	Ext    []string         `json:"ext" flag:"ext" value:"EXT" help:"only files with these extensions (js,json; default every file)"`
	Ignore []string         `json:"ignore" flag:"ignore" value:"GLOB" help:"leave out GLOB, as a line of a .gitignore; '!GLOB' takes it in again; any number of times"`
	Delay  command.Duration `json:"delay" flag:"delay" value:"TIME" default:"300ms" help:"quiet that ends a burst of changes; after one save 10ms are enough"`
	Signal string           `json:"signal" flag:"signal" value:"NAME" default:"TERM" help:"what asks COMMAND to stop"`
	Grace  command.Duration `json:"grace" flag:"grace" value:"TIME" default:"10s" help:"from then until it is killed"`
	Poll   bool             `json:"poll" flag:"poll" help:"look for changes each second, for volumes that deliver no events"`
}

func runWatch(c *command.Call, in watchInput) error {
	w := watch.Watch{
		Dir: in.Dir, Ignore: in.Ignore, Poll: in.Poll,
		Delay: time.Duration(in.Delay), Grace: time.Duration(in.Grace),
		Command: in.Argv, Stdout: os.Stdout, Stderr: os.Stderr, Messages: c.Stderr,
		Signal: unix.SignalNum("SIG" + strings.TrimPrefix(strings.ToUpper(in.Signal), "SIG")),
	}
	for _, words := range in.Ext {
		w.Ext = append(w.Ext, strings.Split(words, ",")...)
	}
	if w.Signal == 0 {
		return cli.UsageError(fmt.Errorf("--signal is a name such as TERM or INT, not %q", in.Signal))
	}
	if w.Delay < 0 || w.Grace < 0 {
		return cli.UsageError(errors.New("--delay and --grace are at least 0"))
	}
	if terminal.Readable(os.Stdin) {
		w.Keyboard = os.Stdin
	}
	received := make(chan os.Signal, 2)
	signal.Notify(received, append([]os.Signal{syscall.SIGQUIT}, signals.Ending()...)...)
	defer signal.Stop(received)
	// The call's own context ends with the same signals, but does not tell which one it was.
	status, err := w.Run(context.WithoutCancel(c), received)
	switch {
	case err != nil:
		return &command.Fault{Kind: command.Failed, Err: err, Status: status}
	case status != 0:
		return command.Exit(status)
	}
	return nil
}
