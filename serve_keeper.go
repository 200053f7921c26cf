package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"paas/command"
	"paas/config"
	"paas/keeper"
	"paas/serverlog"
	"paas/signals"
)

// serve runs the roles until the process is told to end. The process is either a server, which its
// keeper has started, or becomes the keeper of one.
func serve(cmd *cobra.Command, load func() (*config.Config, error), roles []string) error {
	ctx, stop := servingContext(cmd.Context())
	defer stop()
	parent, err := keeper.Inherited()
	if err != nil {
		return err
	}
	c, err := load()
	var log *slog.Logger
	if err == nil {
		log, err = openLog(c, cmd.ErrOrStderr())
	}
	switch {
	case err == nil && parent == nil:
		return keep(ctx, c, roles, log)
	case err == nil:
		err = runServer(ctx, parent, c, roles, cmd.OutOrStdout(), log)
	}
	if err != nil && parent != nil {
		parent.Fail(err)
	}
	return err
}

// servingContext returns a context that ends with a signal that ends a server. A hangup does not: it
// asks a keeper for a reload.
func servingContext(ctx context.Context) (context.Context, context.CancelFunc) {
	ending := slices.DeleteFunc(slices.Clone(signals.Ending()), func(s os.Signal) bool { return s == syscall.SIGHUP })
	signal.Notify(make(chan os.Signal, 1), syscall.SIGHUP) // else the second would end the process
	ctx, stop := signal.NotifyContext(context.WithoutCancel(ctx), ending...)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process at once
	return ctx, stop
}

// openLog returns the server's log: the file that the settings name, or stderr.
func openLog(c *config.Config, stderr io.Writer) (*slog.Logger, error) {
	if c.LogFile != "" {
		file, err := serverlog.Open(c.LogFile)
		if err != nil {
			return nil, fmt.Errorf("log-file: %w", err)
		}
		stderr = file
	}
	var level slog.LevelVar
	level.UnmarshalText([]byte(c.LogLevel))
	return slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: &level})), nil
}

// keep claims the roles, and keeps a server running that has them, until ctx ends.
func keep(ctx context.Context, c *config.Config, roles []string, log *slog.Logger) error {
	vol := newVolume(c)
	vol.Log = log
	if err := vol.Open(); err != nil {
		return err
	}
	defer vol.Close()
	k := &keeper.Keeper{
		Argv: os.Args, Log: log.With("role", "keeper"),
		FreeTimeout:  c.BuildTimeout + c.BootTimeout + c.Prove + time.Minute,
		LeaveTimeout: c.Drain + c.Grace + time.Minute,
		// A shell that ends says so with the same signal that asks for a reload.
		OnTerminal: slices.Contains(signals.Ending(), os.Signal(syscall.SIGHUP)),
	}
	for _, role := range roles {
		claim, err := vol.Claim(role)
		if err != nil {
			return err
		}
		defer claim.Close()
		k.Locks = append(k.Locks, claim)
	}
	err := k.Run(ctx)
	if exit, ok := errors.AsType[keeper.ExitError](err); ok { // the server has told why
		return command.Exit(exit.Status)
	}
	return err
}

// followKeeper does what the keeper asks for until ctx ends.
func (s *server) followKeeper(ctx context.Context) error {
	return s.parent.Follow(ctx, keeper.Handover{Stop: func() {
		for _, port := range s.ports { // nobody serves them any more: refuse visitors at once
			port.Leave(false)
		}
		s.end()
	}})
}
