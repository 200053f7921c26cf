package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"paas/builder/cmdline"
	"paas/engine/local/child"
	"paas/engine/local/limits"
	"paas/engine/local/ports"
	"paas/runtime"
	"paas/site"
	"paas/volume"
)

// process is a [child.Child] in the role of an app's process.
type process struct {
	*child.Child
	app    string
	limits volume.Limits // that it is held to
	owner  *ports.Owner  // the process itself
	claim  *claim        // of its port; nil: it has none
}

// Start starts spec's process: what its line of the Procfile names, or where there is no web
// command the server of its static files. An error means that nothing runs.
func (l *Local) Start(spec runtime.Spec) (runtime.Process, error) {
	argv := spec.Argv
	if line := cmp.Or(spec.Line, spec.Built.Processes[spec.Type]); len(argv) == 0 && line != "" {
		argv = cmdline.Arguments(line)
	}
	if len(argv) == 0 && spec.Type == "web" && spec.Built.Static != "" {
		return l.startSite(spec)
	}
	if len(argv) == 0 {
		return nil, fmt.Errorf("%s: no such process type", spec.Type)
	}
	var own *claim
	port := spec.Port
	if spec.Type == "web" {
		var err error
		if own, err = l.takePort(spec.App, tryPort); err != nil {
			return nil, err
		}
		port = own.port
	}
	room, err := l.confine(spec.App, spec.Tree, cmp.Or(spec.Data, spec.Tree), []string{spec.Cache}, cmp.Or(spec.Top, spec.Tree), spec.Data)
	if err != nil {
		l.freePort(own)
		return nil, fmt.Errorf("%s: %w", spec.Type, err)
	}
	if l.Confined.Firewall != nil && own != nil {
		l.Confined.Firewall.Allow(room.uid, own.port)
		leave := room.leave
		room.leave = func() {
			l.Confined.Firewall.Forbid(room.uid, own.port)
			leave()
		}
	}
	c := child.Command{
		Name: fmt.Sprintf("%s.v%d.%s.%d", spec.App, spec.Release, spec.Type, spec.Index),
		Argv: argv,
		Dir:  spec.Tree,
		Env:  cmdline.With(l.processEnv(spec, port), room.env),
		Out:  spec.Out, Err: spec.Err, In: spec.In, Terminal: spec.Terminal, Signals: spec.Signals,
		Under: room.under,
		Gone: func() {
			room.leave()
			l.freePort(own)
		},
	}
	held, err := l.limit(&c, limits.Limits(spec.Limits))
	if err != nil {
		c.Gone()
		return nil, fmt.Errorf("%s: %w", spec.Type, err)
	}
	started, err := l.keeper.Start(c)
	if err != nil {
		c.Gone()
		return nil, fmt.Errorf("%s: %w", spec.Type, err)
	}
	owner := &ports.Owner{UID: room.uid, Holds: started.Holds}
	l.letListen(own, owner)
	return process{started, spec.App, volume.Limits(held), owner, own}, nil
}

func (p process) Addr() string {
	if p.claim == nil {
		return ""
	}
	return loopback(p.claim.port)
}

// Dial connects to addr where the process itself listens there.
func (p process) Dial(ctx context.Context, addr string) (net.Conn, error) {
	return p.owner.Dial(ctx, addr)
}

// Lost is closed when visitors were found to meet another program on the process's port.
func (p process) Lost() <-chan struct{} {
	if p.claim == nil {
		return nil
	}
	return p.claim.lost
}

// Taken reports, once the process has ended, whether another program has its port.
func (p process) Taken() bool {
	return p.claim != nil && errors.Is(tryPort(p.claim.port), syscall.EADDRINUSE)
}

// files are the web process of an app of static files.
type files struct {
	*site.Server
	addr  string
	owner *ports.Owner
}

func (f files) PID() int     { return 0 }
func (f files) Addr() string { return f.addr }

func (f files) Dial(ctx context.Context, addr string) (net.Conn, error) {
	return f.owner.Dial(ctx, addr)
}

func (l *Local) startSite(spec runtime.Spec) (runtime.Process, error) {
	tree, err := os.OpenRoot(spec.Tree)
	if err != nil {
		return nil, err
	}
	defer tree.Close()
	root, err := tree.OpenRoot(spec.Built.Static) // a link that leaves the tree is refused
	if err != nil {
		return nil, fmt.Errorf("web: %w", err)
	}
	owner := &ports.Owner{}
	var listener net.Listener
	own, err := l.takePort(spec.App, func(port int) (err error) {
		listener, err = owner.Listen(loopback(port))
		return err
	})
	if err != nil {
		root.Close()
		return nil, err
	}
	l.letListen(own, owner)
	s := &site.Server{Root: root, Log: l.Log, Gone: func() { l.freePort(own) }}
	s.Start(listener)
	return files{s, loopback(own.port), owner}, nil
}
