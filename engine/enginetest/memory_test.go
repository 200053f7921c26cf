package enginetest

import (
	"testing"

	"paas/engine"
)

func TestMemory(t *testing.T) {
	Run(t, func(*testing.T) Suite {
		m := &Memory{}
		m.Make = m.RunBuild
		return Suite{
			Engine: m, Image: engine.Image{App: "blog", Build: "b"}, Serve: shell("sleep 1000"),
			NoTerminal: true, NoMemoryLimit: true,
		}
	})
}

// Once a process has exited, its place does not count as running, even before the watcher was told
// and before its exit is known.
func TestExitIsSeenAtOnce(t *testing.T) {
	m := &Memory{Begin: func(*Process) error { return nil }}
	b := &bench{t: t, Suite: Suite{Engine: m, Image: engine.Image{App: "blog"}}}
	b.want(b.unit("", 1))
	b.running(1)
	p := m.Processes()[0]
	p.Leave()
	if got := b.stands(); got != "worker.1 exited" {
		t.Error(got)
	}
	p.End(engine.Exit{Code: 7})
	if p := b.place(1, "it waits", func(p engine.Place) bool { return p.State == engine.Waiting }); p.Exit.Code != 7 {
		t.Errorf("%+v", p)
	}
}

// A process starts only after the previous process of its place has ended, however long that takes.
func TestOneAtATime(t *testing.T) {
	linger := make(chan struct{})
	m := &Memory{Begin: func(p *Process) error { p.Linger = linger; return nil }}
	b := &bench{t: t, Suite: Suite{Engine: m, Image: engine.Image{App: "blog"}}}
	u := b.unit("", 1)
	b.want(u)
	b.running(1)
	b.drop(u)
	b.want(u)
	if got := b.stands(); got != "worker.1 stopping" || len(m.Processes()) != 1 {
		t.Errorf("%s, %d processes", got, len(m.Processes()))
	}
	close(linger)
	b.place(1, "the next one runs", func(p engine.Place) bool { return p.State == engine.Running && p.Restarts == 0 })
}
