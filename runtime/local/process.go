package local

import (
	"cmp"
	"fmt"
	"net"
	"os"

	"paas/runtime"
	"paas/runtime/child"
	"paas/runtime/command"
	"paas/runtime/limits"
	"paas/runtime/site"
	"paas/volume"
)

// process is a [child.Child] in the role of an app's process.
type process struct {
	*child.Child
	port   int
	app    string
	limits volume.Limits // that it is held to
}

// Start starts spec's process: what its line of the Procfile names, or where there is no web
// command the server of its static files. An error means that nothing runs.
func (l *Local) Start(spec runtime.Spec) (runtime.Process, error) {
	argv := spec.Argv
	if line := cmp.Or(spec.Line, spec.Built.Processes[spec.Type]); len(argv) == 0 && line != "" {
		argv = command.Arguments(line)
	}
	if len(argv) == 0 && spec.Type == "web" && spec.Built.Static != "" {
		return l.startSite(spec)
	}
	if len(argv) == 0 {
		return nil, fmt.Errorf("%s: no such process type", spec.Type)
	}
	own := 0
	if spec.Type == "web" {
		var err error
		if own, err = l.takePort(); err != nil {
			return nil, err
		}
	}
	room, err := l.confine(spec.App, cmp.Or(spec.Data, spec.Tree), []string{spec.Cache}, cmp.Or(spec.Top, spec.Tree), spec.Data)
	if err != nil {
		l.freePort(own)
		return nil, fmt.Errorf("%s: %w", spec.Type, err)
	}
	c := child.Command{
		Name: fmt.Sprintf("%s.v%d.%s.%d", spec.App, spec.Release, spec.Type, spec.Index),
		Argv: argv,
		Dir:  spec.Tree,
		Env:  command.With(l.processEnv(spec, cmp.Or(own, spec.Port)), room.env),
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
	return process{started, own, spec.App, volume.Limits(held)}, nil
}

func (p process) Addr() string {
	if p.port == 0 {
		return ""
	}
	return loopback(p.port)
}

// files are the web process of an app of static files.
type files struct {
	*site.Server
	addr string
}

func (f files) PID() int     { return 0 }
func (f files) Addr() string { return f.addr }

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
	port, err := l.takePort()
	if err != nil {
		root.Close()
		return nil, err
	}
	listener, err := net.Listen("tcp", loopback(port))
	if err != nil {
		l.freePort(port)
		root.Close()
		return nil, err
	}
	s := &site.Server{Root: root, Log: l.Log, Gone: func() { l.freePort(port) }}
	s.Start(listener)
	return files{s, loopback(port)}, nil
}
