package runtime

import (
	"fmt"
	"log/slog"
	"os"
	"time"

	"paas/engine"
	"paas/site"
)

// staticSite serves the static files of a release in this process, without an engine.
type staticSite struct {
	server site.Server
	calls  *site.Calls
}

// isSite reports whether the member is static files: the release has no web program.
func (m *member) isSite() bool { return m.isWeb() && m.in.built.Processes[m.Type] == "" }

// openSite begins to serve static files. The units are locked.
func (m *member) openSite() {
	a := m.in.loop
	p := newProc(0)
	m.latest = p
	close(m.changed)
	m.changed = make(chan struct{})
	addr := fmt.Sprintf("static files of %s", m.seat().unit)
	if m.Index > 1 || m.unit.Copy > 0 {
		addr += fmt.Sprintf(".%d", m.Index)
	}
	place := engine.Place{Unit: m.unit, Index: m.Index, State: engine.Running, Addr: addr}
	root, err := openFolder(m.in.tree, m.in.built.Static)
	if err != nil {
		m.finish(p, place, engine.Exit{Reason: "web: " + err.Error()})
		return
	}
	s := &staticSite{calls: site.NewCalls()}
	s.server = site.Server{Root: root, Log: a.log.With(slog.String("site", m.name))}
	s.server.Start(s.calls)
	m.site = s
	p.begin(place)
	a.rt.backends.add(a.app.Name, addr, s.calls.Dial)
}

// closeSite ends that, and blocks until the requests in progress have ended, for grace at most.
func (m *member) closeSite(grace time.Duration) {
	if m.site != nil {
		m.site.server.Stop(grace)
	}
	u := &m.in.loop.units
	u.mu.Lock()
	defer u.mu.Unlock()
	m.leave()
}

// openFolder opens a folder below tree. It refuses a link that leads out of the tree.
func openFolder(tree, folder string) (*os.Root, error) {
	root, err := os.OpenRoot(tree)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	return root.OpenRoot(folder)
}
