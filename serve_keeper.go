package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"paas/address"
	"paas/command"
	"paas/config"
	"paas/engine/local/child"
	"paas/keeper"
	"paas/pause"
	"paas/router"
	"paas/serverlog"
	"paas/signals"
	"paas/volume"
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
	p := newPaas(c)
	vol := p.vol
	vol.Log = log
	if err := vol.Open(); err != nil {
		return err
	}
	defer vol.Close()
	k := &keeper.Keeper{
		Argv: os.Args, Root: c.Root, Log: log.With("role", "keeper"),
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
	if slices.Contains(roles, volume.RoleApp) {
		l := p.newEngine(log)
		if err := l.Open(); err != nil {
			return err
		}
		defer l.Close() // the last server has ended the apps, unless it was killed
		k.Services = map[string]func(*net.UnixConn){engineConn: serveEngine(l, log)}
	}
	if l, err := vol.ListenKeyed(keeperSocket + strings.Join(roles, "-")); err != nil { // such as on a full disk
		k.Log.Error("no reload by a command; SIGHUP still asks for one", "err", err)
	} else {
		defer l.Close()
		go takeReloads(l, k, k.Log)
	}
	go staySmall(ctx)
	err := k.Run(ctx)
	if exit, ok := errors.AsType[keeper.ExitError](err); ok { // the server has told why
		return command.Exit(exit.Status)
	}
	return err
}

// staySmall gives back what this process does not use, until ctx ends: a keeper mostly sleeps. Each
// time takes some milliseconds.
func staySmall(ctx context.Context) {
	debug.SetGCPercent(25)
	for pause.For(ctx, 15*time.Second, nil) == nil {
		debug.FreeOSMemory()
		child.DropProgramPages()
	}
}

// followKeeper does what the keeper asks for until ctx ends.
func (s *server) followKeeper(ctx context.Context) error {
	return s.parent.Follow(ctx, keeper.Handover{
		Free: func(ctx context.Context) {
			if s.runtime != nil {
				s.runtime.Free(ctx)
			}
		},
		Resume: func() {
			if s.runtime != nil {
				s.runtime.Resume()
			}
		},
		Leave: s.leave,
		Stop: func() {
			for _, port := range s.ports { // nobody serves them any more: refuse visitors at once
				port.Leave(false)
			}
			s.end()
		},
	})
}

// leave ends this server, which another one has replaced: each part finishes what it has.
func (s *server) leave() {
	s.log.Info("another server has taken over; finishing what is under way")
	s.leaves.Store(true)
	if s.door != nil {
		s.door.Leave()
	}
	if s.receiver != nil {
		s.receiver.Leave()
	}
	if s.front != nil {
		s.front.Leave()
	}
	if s.runtime != nil {
		s.runtime.Leave()
		s.attach.Leave()
		s.sendOn()
	}
	s.end()
}

// successor is the address of the server that has taken over.
const successor = "successor"

// sendOn sends what clients still request here to the server that has taken over. It alone knows what
// has changed since, and wakes apps.
func (s *server) sendOn() {
	if s.config.ProxyProtocol { // the other server believes only proxies
		return
	}
	d := s.doorOfApps
	d.mu.Lock()
	defer d.mu.Unlock()
	for app, route := range d.published {
		route.Addrs, route.State, route.Inner = []string{successor}, router.Running, true
		d.Set(app, route)
	}
	if s.web != nil {
		s.front.Set(volume.Own, router.Route{Addrs: []string{successor}, State: router.Running, Inner: true})
	}
}

// dialSuccessor connects to the server that has taken over, as a front does.
func (s *server) dialSuccessor(ctx context.Context) (net.Conn, error) {
	at, ok := (&address.Book{Volume: s.vol}).Published(volume.RoleApp)
	if !ok {
		return nil, errors.New("no server is there")
	}
	return s.linkKey().Dial(ctx, at.Local())
}
