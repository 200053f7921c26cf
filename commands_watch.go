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

	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"

	"paas/command"
	"paas/say"
	"paas/watch"
)

// watchCommand is the one command that has nothing to do with a server: it reads no settings and
// needs no volume, so that it works in an app's container.
func watchCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use: "watch [FLAGS] [--] COMMAND [ARG...]", DisableFlagsInUseLine: true,
		Short: "run a command, and restart it when files change",
		Args:  args(1, -1),
	}
	var w watch.Watch
	f := cmd.Flags()
	f.SetInterspersed(false) // what comes after COMMAND is COMMAND's
	f.StringVar(&w.Dir, "dir", ".", "what is watched, and where COMMAND runs")
	f.StringSliceVar(&w.Ext, "ext", nil, "only files with these extensions (js,json; default every file)")
	f.StringArrayVar(&w.Ignore, "ignore", nil, "leave out GLOB, as a line of a .gitignore; '!GLOB' takes it in again; any number of times")
	f.DurationVar(&w.Delay, "delay", 300*time.Millisecond, "quiet that ends a burst of changes; after one save 10ms are enough")
	stop := f.String("signal", "TERM", "what asks COMMAND to stop")
	f.DurationVar(&w.Grace, "grace", 10*time.Second, "from then until it is killed")
	f.BoolVar(&w.Poll, "poll", false, "look for changes each second, where events do not arrive")
	cmd.SetHelpFunc(watchHelp)
	cmd.RunE = func(cmd *cobra.Command, argv []string) error {
		w.Signal = unix.SignalNum("SIG" + strings.TrimPrefix(strings.ToUpper(*stop), "SIG"))
		if w.Signal == 0 {
			return usageError(fmt.Errorf("--signal is a name such as TERM or INT, not %q", *stop))
		}
		if w.Delay < 0 || w.Grace < 0 {
			return usageError(errors.New("--delay and --grace are at least 0"))
		}
		w.Command, w.Stdout, w.Stderr, w.Messages = argv, os.Stdout, os.Stderr, cmd.ErrOrStderr()
		if readable(os.Stdin) {
			w.Keyboard = os.Stdin
		}
		signals := make(chan os.Signal, 2)
		signal.Notify(signals, append([]os.Signal{syscall.SIGQUIT}, ending()...)...)
		defer signal.Stop(signals)
		// The command's own context ends with the same signals, and does not say which it was.
		status, err := w.Run(context.WithoutCancel(cmd.Context()), signals)
		if err != nil {
			say.Fault(w.Messages, "%v", err)
		}
		if status != 0 {
			return command.Exit(status)
		}
		return nil
	}
	return cmd
}

// readable says whether stdin is the terminal and ours to read: a job in the background would be
// stopped for it.
func readable(stdin *os.File) bool {
	group, err := unix.IoctlGetInt(int(stdin.Fd()), unix.TIOCGPGRP)
	return err == nil && group == syscall.Getpgrp()
}

func watchHelp(cmd *cobra.Command, args []string) {
	help(cmd, args)
	fmt.Fprintf(cmd.OutOrStdout(), `
When files below DIR change, all of COMMAND's process group is stopped, and COMMAND started anew; when it
ends by itself, that waits for the next change. Its standard input is empty. It finds the paths that
changed in PAAS_WATCH_CHANGED, the first 100, a line each. In a terminal, rs and Enter restarts it.

SIGINT, SIGTERM and SIGHUP are passed on to COMMAND and end both; the exit status is COMMAND's, or 128 and
the number of the signal that ended it; 127 or 126 at once if there is no such COMMAND or it cannot be run.
SIGQUIT (Ctrl-\) is passed on too, and ends nothing here.

Left out is what .gitignore files say, and:
%s`, columns(watch.DefaultIgnores))
}

// columns is words in lines of at most 100 characters, indented.
func columns(words []string) string {
	var b strings.Builder
	width := 0
	for _, word := range words {
		if width == 0 || width+1+len(word) > 100 {
			b.WriteString("\n ")
			width = 1
		}
		b.WriteString(" " + word)
		width += 1 + len(word)
	}
	return strings.TrimPrefix(b.String(), "\n") + "\n"
}
