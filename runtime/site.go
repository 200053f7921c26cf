package runtime

import (
	"fmt"
	"log/slog"
	"os"
	"time"

	"paas/engine"
	"paas/inproc"
	"paas/site"
)

// staticSite serves the static files of a release in this process, without an engine.
type staticSite struct {
	server site.Server
	calls  *inproc.Listener
}

// isSite reports whether the member is static files: the release has no web program.
func (m *member) isSite() bool { return m.isWeb() && m.in.built.Processes[m.Type] == "" }

// siteAgain is the delay before static files that could not be opened are tried again.
const siteAgain = time.Second

// openSite begins to serve static files, and tries again later if it cannot: the server may have
// too many open files. failures is how often it could not before. The units are locked.
func (m *member) openSite(failures int) {
	a := m.in.loop
	p := newProc(failures)
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
		place.Restarts, place.Failures = failures, failures+1
		place.Next = time.Now().Add(siteAgain)
		m.finish(p, place, engine.Exit{Reason: "web: " + err.Error()})
		time.AfterFunc(siteAgain, func() {
			u := &a.units
			u.mu.Lock()
			defer u.mu.Unlock()
			if !m.dropped {
				m.openSite(failures + 1)
			}
		})
		return
	}
	s := &staticSite{calls: inproc.New()}
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
