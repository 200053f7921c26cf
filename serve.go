package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"github.com/pires/go-proxyproto"
	"github.com/spf13/cobra"
	"golang.org/x/net/netutil"
	"golang.org/x/sync/errgroup"

	"paas/access"
	"paas/attach"
	"paas/backup"
	"paas/certs"
	"paas/command/cli"
	"paas/config"
	"paas/deploy"
	"paas/engine"
	"paas/folder"
	"paas/inproc"
	"paas/keeper"
	"paas/link"
	"paas/receiver"
	"paas/reserved"
	"paas/router"
	"paas/runtime"
	"paas/sidecar"
	"paas/sshd"
	"paas/subprocess"
	"paas/volume"
	"paas/web"
)

func serveCommand(load func() (*config.Config, error)) *cobra.Command {
	return &cobra.Command{
		Use: "serve [ROLE...]", DisableFlagsInUseLine: true,
		Short: "run the server until interrupted: git, app and sidecar, or the roles named; front is the fourth",
		RunE: func(cmd *cobra.Command, roles []string) error {
			roles, err := checkRoles(roles)
			if err != nil {
				return err
			}
			if slices.Contains(roles, volume.RoleApp) { // whose router is the front in one process
				roles = slices.DeleteFunc(roles, func(name string) bool { return name == volume.RoleFront })
			}
			return serve(cmd, load, roles)
		},
	}
}

// allRoles are the roles of a server in one process, whose app role is what visitors meet.
var allRoles = []string{volume.RoleGit, volume.RoleApp, volume.RoleSidecar}

// checkRoles returns the roles named, each once; allRoles if none is named.
func checkRoles(names []string) ([]string, error) {
	if len(names) == 0 {
		return allRoles, nil
	}
	for _, name := range names {
		if known := append(slices.Clone(allRoles), volume.RoleFront); !slices.Contains(known, name) {
			return nil, cli.UsageError(fmt.Errorf("no role %q; there are %s", name, strings.Join(known, ", ")))
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(names))), nil
}

// server is what one process runs: some of the roles, each with its parts. The parts of a role that
// it does not run are nil.
type server struct {
	*paas
	parent *keeper.Parent
	log    *slog.Logger

	door     *sshd.Server       // role git
	receiver *receiver.Receiver //
	web      *web.Server        // roles git and app

	front    *router.Router // roles app and front
	follower *follower      // role front

	fronts     *link.Publisher  // role app
	doorOfApps *frontDoor       //
	engine     engine.Engine    //
	runtime    *runtime.Runtime //
	attach     *attach.Server   //
	certs      *certs.Keeper    // nil without HTTPS too
	expiry     *expiry          //

	certsDoor net.Listener // takes certificates that people bring

	keepers     certs.Keepers // role git: of fronts elsewhere
	keepersDoor net.Listener  // takes certificates for them

	sidecar *sidecar.Sidecar // role sidecar

	spares *deploy.Spares // of the receiver and the sidecar

	ports  []*reserved.Port // of the doors
	begins []func() error   // what others see of this server's start: called when it may serve
	end    func()           // ends this server in order
	leaves atomic.Bool      // it ends because another server has taken over
}

// begin calls f when this server may serve: until then another one does.
func (s *server) begin(f func() error) { s.begins = append(s.begins, f) }

// runServer runs the roles until ctx ends or a part fails.
func runServer(
	ctx context.Context, parent *keeper.Parent, c *config.Config, roles []string, stdout io.Writer, log *slog.Logger,
) error {
	if parent.Root != "" && c.Root != parent.Root { // keepers before this version do not say it
		return fmt.Errorf("PAAS_ROOT is %s now, and was %s: that takes a restart, not a reload", c.Root, parent.Root)
	}
	limitMemory(log)
	ctx, end := context.WithCancel(ctx)
	defer end()
	s := &server{paas: newPaas(c), parent: parent, log: log, end: end}
	s.spares = &deploy.Spares{Volume: s.vol, DiskSpace: s.diskSpace(), Log: log.With("role", "receiver")}
	s.keys.Log = log.With("role", "sshd")
	defer s.remotes.Close()
	vol := s.vol
	vol.Log = log
	if err := vol.Open(); err != nil {
		return err
	}
	defer vol.Close()
	if !parent.Takeover {
		for _, role := range roles {
			s.forget(role)
		}
	}
	if err := s.settle(); err != nil {
		return err
	}
	defer s.freePorts()
	// First, because processes of an earlier server might use the port of a door.
	if slices.Contains(roles, volume.RoleApp) {
		if err := s.openEngine(); err != nil {
			return err
		}
		defer s.engine.Close()
	}
	s.addresses.GitOverHTTP = slices.Contains(roles, volume.RoleGit) && slices.Contains(roles, volume.RoleApp) ||
		slices.Contains(roles, volume.RoleFront) && c.GitHTTPAddr != ""
	// If a port is taken, no app has been started yet.
	for _, role := range roles {
		if err := s.listen(role); err != nil {
			return err
		}
	}
	if err := s.listenWeb(); err != nil {
		return err
	}
	if err := parent.Ready(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	go vol.Tidy(ctx) // nobody waits for it: the next server removes the rest
	for _, f := range append(s.begins, s.prepare) {
		if err := f(); err != nil {
			return err
		}
	}
	log.Info("serving", "root", c.Root, "version", buildVersion(), "roles", strings.Join(roles, " "))
	if parent.First {
		s.greet(stdout)
	}
	return s.run(ctx)
}

// settle ends the restore of a whole server that was cut off.
func (s *server) settle() error {
	done, err := backup.Settle(s.vol, s.keys)
	if err != nil {
		return fmt.Errorf("restore: %w", err)
	}
	if len(done.Apps) > 0 {
		s.log.Warn("a restore was cut off; ended it", "apps", strings.Join(done.Apps, " "))
	}
	return nil
}

// forget removes what an earlier server published about role.
func (s *server) forget(role string) {
	s.addresses.Forget(role)
	if role == volume.RoleApp {
		os.Remove(s.isolationFile())
	}
}

// publish tells commands where role listens, once it serves. A full disk is no reason not to serve:
// they then use their own settings.
func (s *server) publish(role, listen string) {
	s.begin(func() error {
		if err := s.addresses.Publish(role, listen); err != nil {
			s.log.Error("cannot tell commands the address", "role", role, "addr", listen, "err", err)
		}
		return nil
	})
}

// listen creates the parts of role and opens their ports.
func (s *server) listen(role string) error {
	switch role {
	case volume.RoleGit:
		return s.listenGit()
	case volume.RoleApp:
		return s.listenApp()
	case volume.RoleFront:
		return s.listenFront()
	default:
		return s.listenSidecar()
	}
}

func (s *server) listenGit() error {
	c := s.config
	s.receiver = &receiver.Receiver{
		Volume: s.vol, Self: subprocess.Program, URL: s.addresses.App, Advice: s.advice,
		Mode: volume.Mode(c.Mode), MaxPush: c.MaxPush, MaxFiles: c.MaxFiles, MaxTree: c.MaxTree,
		DiskSpace: s.diskSpace(), Modules: deploy.Modules{Remote: s.remotes}, Spares: s.spares,
		TakesOver: s.parent.Takeover, Log: s.log.With("role", "receiver"),
	}
	hostKey, err := access.HostKey(s.keys.Dir, s.log.With("role", "sshd"))
	if err != nil {
		return err
	}
	s.door = &sshd.Server{
		Addr: c.SSHAddr, HostKey: hostKey, Keys: keysDoor{s.keys}, Git: gitDoor{s.receiver, s.rights()}, Verbs: verbsDoor{s.paas},
		AddKeyHint: addKeyHint, AppName: volume.CheckName, Log: s.log.With("role", "sshd"), DrainTimeout: c.Drain,
		MaxConns: maxSSHConns(),
	}
	if err := s.keys.Migrate(); err != nil { // such as on a full disk: until then they can do what they could
		s.log.Error("keys of an earlier version have no roles yet", "err", err)
	}
	if err := s.rights().Sweep(); err != nil {
		s.log.Error("grants of apps that were destroyed are left", "err", err)
	}
	if err := s.addKeys(); err != nil {
		return err
	}
	s.begin(func() error {
		err := s.keepersKey().Make()
		if err == nil {
			s.keepersDoor, err = s.vol.ListenKeyed(keepersSocket)
		}
		if err != nil { // such as on a full disk
			s.log.Error("cannot take certificates for fronts on other machines", "err", err)
			s.keepersDoor = nil
		}
		return nil
	})
	if s.door.Listener, err = s.listenDoor("PAAS_SSH_ADDR", c.SSHAddr); err != nil {
		return err
	}
	if err := s.door.Listen(); err != nil {
		return err
	}
	s.publish(volume.RoleGit, s.door.Address().String())
	return nil
}

func (s *server) listenApp() error {
	c := s.config
	s.front, s.fronts = s.newRouter(), &link.Publisher{Hear: s.hearFront}
	s.expiry = newExpiry()
	door := &frontDoor{
		visitorsDoor: &visitorsDoor{Router: s.front, apps: map[string]hosts{}},
		fronts:       s.fronts, first: c.DefaultApp, vol: s.vol, published: map[string]router.Route{},
	}
	s.doorOfApps = door
	s.runtime = &runtime.Runtime{
		Volume: s.vol, Engine: s.engine, Front: door,
		Grace: c.Grace, Boot: c.BootTimeout, Prove: c.Prove, KeepBuilds: c.KeepBuilds,
		PassEnv: c.PassEnv, Log: s.log.With("role", "runtime"),
	}
	s.front.Wake = s.runtime.Wake
	s.front.Dial = func(ctx context.Context, app, addr string) (net.Conn, error) {
		if addr == successor {
			return s.dialSuccessor(ctx)
		}
		return s.runtime.Dial(ctx, app, addr)
	}
	s.front.AppLog = func(app string) router.AppLog {
		if app == volume.Own {
			return nil
		}
		return s.runtime.RequestLog(app)
	}
	s.front.Greet = s.linkDoor().Greet
	if err := s.openRouter(); err != nil {
		return err
	}
	if err := s.listenHTTPS(door.visitorsDoor); err != nil {
		return err
	}
	s.attach = &attach.Server{
		Handle: runDoor{s.runtime}.run, DrainTimeout: c.Drain, Log: s.log.With("role", "runtime"),
	}
	s.begin(func() (err error) {
		s.attach.Listener, err = s.vol.ListenKeyed("run/app")
		return err
	})
	s.publish(volume.RoleApp, s.front.Address().String())
	return nil
}

// newRouter returns a router that nothing leads to yet.
func (s *server) newRouter() *router.Router {
	c := s.config
	return &router.Router{
		Addr: c.HTTPAddr, Domain: c.Domain, Log: s.log.With("role", "router"),
		TrustedProxies: c.TrustedProxies,
		MaxConns:       maxConns(), HoldTimeout: c.Hold, WakeTimeout: c.BootTimeout + c.Hold,
		DrainTimeout: min(c.Drain, c.Grace), RequestDrain: c.Drain, StopTimeout: c.Grace,
	}
}

// openRouter opens the router's port.
func (s *server) openRouter() (err error) {
	if s.front.Listener, err = s.listenVisitors("PAAS_HTTP_ADDR", s.config.HTTPAddr); err != nil {
		return err
	}
	return s.front.Listen()
}

// maxCommands is how many bytes the commands of a push may have, beside its pack.
const maxCommands = 64 << 20

// listenWeb lets the front door lead to git over HTTP at a host of its own: in this process in the
// same way as to static files, and from another process over a port for fronts.
func (s *server) listenWeb() error {
	c := s.config
	if s.receiver == nil || s.front == nil && c.GitHTTPAddr == "" {
		return nil
	}
	door := webDoor{s.paas, s.receiver}
	s.web = &web.Server{
		Tokens: door, Git: door, AppName: volume.CheckName,
		MaxInput: c.MaxPush + maxCommands, MaxRequests: maxSSHConns(),
		Log: s.log.With("role", "web"), DrainTimeout: c.Drain,
	}
	if s.front == nil {
		l, err := s.listenDoor("PAAS_GIT_HTTP_ADDR", c.GitHTTPAddr)
		if err != nil {
			return err
		}
		s.web.Listener = s.linkDoor().Only(netutil.LimitListener(l, maxSSHConns()))
		return nil
	}
	calls, others := inproc.New(), s.front.Dial
	s.web.Listener = calls
	s.front.Dial = func(ctx context.Context, app, addr string) (net.Conn, error) {
		if app == volume.Own && addr != successor {
			return calls.Dial(ctx)
		}
		return others(ctx, app, addr)
	}
	s.front.Set(volume.Own, router.Route{Addrs: []string{"git over HTTP"}, State: router.Running, Inner: true})
	s.certifyOwn()
	if s.fronts != nil {
		s.fronts.Set(volume.Own, published{})
	}
	return nil
}

// listenDoor listens on addr, the value of the setting.
func (s *server) listenDoor(setting, addr string) (net.Listener, error) {
	name := addr
	if _, port, _ := net.SplitHostPort(addr); port == "0" { // another one for each door
		name = setting + " " + addr
	}
	var l *reserved.Port
	var err error
	if held := s.parent.Take(name); held != nil {
		l, err = reserved.Reopen(held)
		held.Close()
	} else if l, err = reserved.Listen(addr); err == nil {
		var f *os.File
		if f, err = l.File(); err == nil {
			s.parent.Hold(name, f)
		}
	}
	if err != nil {
		return nil, portError(setting, addr, err)
	}
	l.Leave(true)
	s.ports = append(s.ports, l)
	return l, nil
}

// listenVisitors is listenDoor for visitors, who may come through trusted proxies.
func (s *server) listenVisitors(setting, addr string) (net.Listener, error) {
	l, err := s.listenDoor(setting, addr)
	if err != nil || !s.config.ProxyProtocol {
		return l, err
	}
	policy := func(from proxyproto.ConnPolicyOptions) (proxyproto.Policy, error) {
		if ip, err := netip.ParseAddrPort(from.Upstream.String()); err == nil && s.front.Trusts(ip.Addr()) {
			return proxyproto.REQUIRE, nil
		}
		return proxyproto.SKIP, nil
	}
	return &proxyproto.Listener{Listener: l, ConnPolicy: policy}, nil
}

// freePorts releases the ports of the doors.
func (s *server) freePorts() {
	for _, h := range s.ports {
		h.Free()
	}
}

// prepare repairs what a killed server left, and makes the apps known.
func (s *server) prepare() error {
	if s.receiver != nil {
		if s.engine != nil { // else git's children would outlive a server that is killed
			s.receiver.GitEnv = s.engine.Adopt("git")
		}
		if err := s.receiver.Prepare(); err != nil {
			return err
		}
	}
	if s.runtime != nil {
		if err := s.vol.OpenFolders(); err != nil {
			s.log.Error("apps may not reach folders of theirs", "err", err)
		}
		s.announceIsolation()
		if _, err := s.vol.App(volume.Own); err == nil {
			s.log.Warn("this app's host is the server's own now; no visitor reaches it until it is renamed",
				"app", volume.Own)
		}
		return s.runtime.Announce()
	}
	return nil
}

// greet tells the person who started the server where its roles listen.
func (s *server) greet(stdout io.Writer) {
	if s.door != nil {
		fmt.Fprintf(stdout, "git   ssh://paas@%s\n", s.addresses.Git())
		if keys, err := s.keys.List(); err == nil && len(keys) == 0 {
			fmt.Fprintln(stdout, "keys  none yet; to add yours: paas keys:add NAME ~/.ssh/id_ed25519.pub")
		}
	}
	if s.front != nil {
		fmt.Fprintf(stdout, "http  %s\n", s.addresses.App(""))
		if s.certs != nil {
			fmt.Fprintf(stdout, "https port %s\n", s.front.HTTPS.Port)
		}
	}
	if s.engine != nil {
		fmt.Fprintf(stdout, "apps  isolation: %s\n", s.engine.Isolation().By)
	}
	if s.sidecar != nil && s.sidecar.Addr != "" {
		fmt.Fprintf(stdout, "hooks http://%s/hooks/APP\n", s.sidecar.Address())
	}
	fmt.Fprintln(stdout, "ready")
}

// run runs the parts of the roles until ctx ends or one fails. They end in order: pushes in flight
// need the runtime and the receiver, so the doors for git end first; requests in flight need their
// app, so apps end last. If another server has taken over, all begin at once to finish what they have.
func (s *server) run(ctx context.Context) error {
	g, failed := errgroup.WithContext(context.WithoutCancel(ctx))
	doorway, closeDoor := context.WithCancel(failed)
	visitors, closeVisitors := context.WithCancel(failed)
	sessions, closeSessions := context.WithCancel(failed)
	rest, stopRest := context.WithCancel(failed) // what pushes do not need
	pushes, stopPushes := context.WithCancel(failed)
	apps, stopApps := context.WithCancel(failed)
	defer context.AfterFunc(ctx, func() {
		closeDoor()
		if s.leaves.Load() {
			closeVisitors()
			closeSessions()
			stopRest()
		}
	})()
	var doors, front, commands sync.WaitGroup
	run := func(name string, present bool, part func(context.Context) error, ctx context.Context, then *sync.WaitGroup) {
		if then != nil {
			then.Add(1)
		}
		g.Go(func() error {
			if then != nil {
				defer then.Done()
			}
			if !present {
				<-ctx.Done()
				return nil
			}
			if err := part(ctx); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
			return nil
		})
	}
	run("sshd", s.door != nil, s.door.Run, doorway, &doors)
	run("web", s.web != nil, s.web.Run, doorway, &doors)
	run("keeper", true, s.followKeeper, doorway, nil)
	run("router", s.front != nil, s.serveVisitors, visitors, &front)
	run("run", s.attach != nil, s.attach.Run, sessions, &commands)
	run("link", s.follower != nil, s.follow, apps, nil)
	run("certs", s.certs != nil, s.runCerts, rest, nil)
	run("expiry", s.expiry != nil, s.watchExpiry, rest, nil)
	run("keepers", s.keepersDoor != nil, s.serveKeepers, rest, nil)
	run("receiver", s.receiver != nil, s.receiver.Run, pushes, nil)
	run("sidecar", s.sidecar != nil, s.sidecar.Run, rest, nil)
	run("backups", s.receiver != nil, s.runBackups, rest, nil)
	run("spares", true, s.spares.Run, rest, nil)
	run("runtime", s.runtime != nil, s.runtime.Run, apps, nil)
	go func() {
		doors.Wait()
		closeVisitors()
		stopRest()
		stopPushes()
		front.Wait()
		closeSessions()
		if s.leaves.Load() {
			commands.Wait()
		}
		stopApps()
	}()
	return g.Wait()
}

// addKeys adds the keys that the settings name and that have no access yet.
func (s *server) addKeys() error {
	if err := s.addKeysOf("PAAS_KEYS", s.config.Keys); err != nil {
		return err
	}
	path := s.config.KeysFile
	if path == "" {
		return nil
	}
	content, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("PAAS_KEYS_FILE: %w", err)
	}
	return s.addKeysOf(path, string(content))
}

func (s *server) addKeysOf(where, text string) error {
	added, err := s.keys.Add(text, access.Adding{})
	for _, key := range added {
		s.log.Info("key added", "key", key.Name, "role", key.Role, "fingerprint", key.Fingerprint)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", where, err)
	}
	return nil
}

// maxConns is how many visitors may be connected: a quarter of the files that this process may have
// open, at most 8192. Each of their requests takes another file, and git, ssh and the apps need
// some.
func maxConns() int { return int(min(8192, max(16, maxFiles()/4))) }

// maxSSHConns is how many SSH clients may be connected, and how many requests of git are served over
// HTTP: at most 256. With those that wait in line they take up to fifteen times as many files.
func maxSSHConns() int { return int(min(256, max(16, maxFiles()/32))) }

// maxFiles is how many files this process may have open; 32768 if that is unknown.
func maxFiles() uint64 {
	var limit syscall.Rlimit
	if syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit) != nil {
		return 32 << 10
	}
	return limit.Cur
}

// portError adds to the error of an address that cannot be listened on what to do about it.
func portError(setting, addr string, err error) error {
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return fmt.Errorf("listen %s: %w; stop what has the port, or choose another with %s",
			addr, syscall.EADDRINUSE, setting)
	case errors.Is(err, syscall.EACCES):
		return fmt.Errorf("listen %s: %w; ports below 1024 are the superuser's: choose a higher one with %s, "+
			"or on Linux: sudo sysctl net.ipv4.ip_unprivileged_port_start=80", addr, syscall.EACCES, setting)
	}
	return err
}

func newVolume(c *config.Config) *volume.Volume {
	v := &volume.Volume{Root: c.Root, Poll: c.Poll}
	if c.Notify {
		v.Notify = folder.Events
	}
	return v
}

// addKeyHint is the command that gives the owner of a refused key access, to be run on the server.
func addKeyHint(_, line string) string {
	return fmt.Sprintf("echo '%s' | paas keys:add NAME", line)
}
