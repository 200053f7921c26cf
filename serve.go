package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"paas/config"
	"paas/receiver"
	"paas/router"
	"paas/runtime"
	"paas/sshd"
	"paas/volume"
)

func serveCommand(load func(*cobra.Command) (*config.Config, error)) *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "run the server: git remote, builder, apps and front door, until interrupted",
		Args:  noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := load(cmd)
			if err != nil {
				return err
			}
			return serve(cmd.Context(), c, cmd.OutOrStdout(), cmd.ErrOrStderr())
		},
	}
}

// serve runs every part until ctx ends or one of them fails.
func serve(ctx context.Context, c *config.Config, stdout, stderr io.Writer) error {
	var level slog.LevelVar
	level.UnmarshalText([]byte(c.LogLevel))
	log := slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: &level}))

	vol := newVolume(c)
	if err := vol.Open(); err != nil {
		return err
	}
	release, err := vol.Claim("server")
	if err != nil {
		return err
	}
	defer release()
	if err := vol.Wipe(); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}

	front := &router.Router{
		Addr: c.HTTPAddr, Domain: c.Domain, Log: log.With("role", "router"),
		MaxConns: maxConns(), HoldTimeout: c.Hold, DrainTimeout: min(c.Drain, c.Grace), RequestDrain: c.Drain, StopTimeout: c.Grace,
	}
	if err := front.Listen(); err != nil {
		return portError("PAAS_HTTP_ADDR", c.HTTPAddr, err)
	}
	p := &paas{config: c, vol: vol, keys: &sshd.Keys{Dir: filepath.Join(c.Root, "ssh"), Log: log.With("role", "sshd")}}
	engine := &runtime.Local{
		Root: c.Root, PassEnv: c.PassEnv, BuildTimeout: c.BuildTimeout, Log: log.With("role", "engine"),
	}
	if err := engine.Open(); err != nil {
		return err
	}
	defer engine.Close()
	rt := &runtime.Runtime{
		Volume: vol, Engine: engine, Front: &frontDoor{front}, Grace: c.Grace, Boot: c.BootTimeout, Log: log.With("role", "runtime"),
	}
	rc := &receiver.Receiver{
		Volume: vol, Self: self, URL: p.url, Hint: p.hint,
		MaxPush: c.MaxPush, MaxFiles: c.MaxFiles, MaxTree: c.MaxTree, Log: log.With("role", "receiver"),
	}
	door := &sshd.Server{
		Addr: c.SSHAddr, Dir: p.keys.Dir, Keys: p.keys, Git: gitDoor{rc}, Verbs: verbsDoor{p},
		AddKeyHint: addKeyHint, AppName: volume.CheckName, Log: log.With("role", "sshd"), DrainTimeout: c.Drain,
	}
	if err := door.Listen(); err != nil {
		return portError("PAAS_SSH_ADDR", c.SSHAddr, err)
	}
	p.ports = ports{HTTP: portOf(front.Address()), SSH: portOf(door.Address())}
	if err := rc.Prepare(); err != nil {
		return err
	}

	if err := rt.Announce(); err != nil {
		return err
	}
	if err := p.announce(); err != nil {
		return err
	}
	// Pushes in flight need the runtime and the receiver: the door closes first, then the rest.
	g, failed := errgroup.WithContext(context.WithoutCancel(ctx))
	// A request in flight needs its app: the apps end last.
	rest, stopRest := context.WithCancel(failed)
	apps, stopApps := context.WithCancel(failed)
	doorway, closeDoor := context.WithCancel(failed)
	defer context.AfterFunc(ctx, closeDoor)()
	g.Go(func() error {
		defer stopRest()
		return named("sshd", door.Run(doorway))
	})
	g.Go(func() error {
		defer stopApps()
		return named("router", front.Run(rest))
	})
	g.Go(func() error { return named("runtime", rt.Run(apps)) })
	g.Go(func() error { return named("receiver", rc.Run(rest)) })
	log.Info("serving", "root", c.Root, "version", buildVersion(), "visitors", front.MaxConns)
	fmt.Fprintf(stdout, "git   ssh://paas@%s\nhttp  %s\nready\n", p.gitHost(), p.url(""))
	return g.Wait()
}

// maxConns is how many visitors may be connected: a quarter of the files this process may have open,
// since each request of theirs takes another one, and git, ssh and the apps need some. 8192 at most.
func maxConns() int {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return 0 // the router's own default
	}
	return int(min(8192, max(16, limit.Cur/4)))
}

// portError says what to do about an address that cannot be listened on.
func portError(setting, addr string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("listen %s: %w; stop what has the port, or choose another with %s", addr, syscall.EADDRINUSE, setting)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("listen %s: %w; ports below 1024 are the superuser's: choose a higher one with %s, or on Linux: sudo sysctl net.ipv4.ip_unprivileged_port_start=80",
			addr, syscall.EACCES, setting)
	}
	return err
}

func named(role string, err error) error {
	if err != nil {
		return fmt.Errorf("%s: %w", role, err)
	}
	return nil
}

func newVolume(c *config.Config) *volume.Volume {
	return &volume.Volume{Root: c.Root, Notify: notify, Poll: c.Poll}
}

// addKeyHint is what the owner of a refused key asks for on the server.
func addKeyHint(_, line string) string {
	return fmt.Sprintf("echo '%s' | paas keys:add NAME", line)
}

// frontDoor lets the runtime speak to the router.
type frontDoor struct{ *router.Router }

func (f *frontDoor) Route(app, addr string, c runtime.Condition) <-chan struct{} {
	states := map[runtime.Condition]router.State{
		runtime.Starting: router.Starting, runtime.Running: router.Running, runtime.Down: router.Down,
	}
	return f.Set(app, router.Route{Addr: addr, State: states[c]})
}

func (f *frontDoor) Remove(app string) { f.Router.Remove(app) }

// gitDoor lets sshd hand git sessions to the receiver.
type gitDoor struct{ *receiver.Receiver }

func (g gitDoor) Serve(ctx context.Context, who sshd.Identity, service, app, protocol string, stdin io.Reader, stdout, stderr io.Writer) int {
	return g.Receiver.Serve(ctx, who.Name, service, app, protocol, stdin, stdout, stderr)
}

// verbsDoor lets sshd run the command table.
type verbsDoor struct{ *paas }

func (v verbsDoor) Run(ctx context.Context, who sshd.Identity, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return v.runVerb(ctx, caller{name: who.Name, admin: who.Admin, remote: true}, args, stdin, stdout, stderr)
}
