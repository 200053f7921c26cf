package runtime

import (
	"fmt"
	"time"
)

// process is a [child] in the role of an app's process.
type process struct {
	*child
	port int
}

// Start starts spec's process: what its line of the Procfile names, or where there is no web
// command the server of its static files. An error means that nothing runs.
func (l *Local) Start(spec Spec) (Process, error) {
	line := spec.Built.Processes[spec.Type]
	if line == "" && spec.Type == "web" && spec.Built.Static != "" {
		return l.startSite(spec)
	}
	if line == "" {
		return nil, fmt.Errorf("%s: no such process type", spec.Type)
	}
	port := 0
	if spec.Type == "web" {
		var err error
		if port, err = l.takePort(); err != nil {
			return nil, err
		}
	}
	ch, err := l.launch(command{
		name: fmt.Sprintf("%s.v%d.%s.%d", spec.App, spec.Release, spec.Type, spec.Index),
		argv: argumentList(line),
		dir:  spec.Tree,
		env:  l.processEnv(spec, port),
		out:  spec.Out,
		gone: func() { l.freePort(port) },
	})
	if err != nil {
		l.freePort(port)
		return nil, fmt.Errorf("%s: %w", spec.Type, err)
	}
	return process{ch, port}, nil
}

func (p process) PID() int                 { return p.cmd.Process.Pid }
func (p process) Done() <-chan struct{}    { return p.done }
func (p process) Err() error               { return p.err }
func (p process) Stop(grace time.Duration) { p.stop(grace) }

func (p process) Addr() string {
	if p.port == 0 {
		return ""
	}
	return loopback(p.port)
}
