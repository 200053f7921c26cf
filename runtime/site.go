package runtime

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"syscall"
	"time"

	"paas/engine"
	"paas/site"
)

// staticSite serves the static files of a release in this process, without an engine.
type staticSite struct {
	server site.Server
	calls  calls
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
	s := &staticSite{calls: calls{queue: make(chan net.Conn), closed: make(chan struct{})}}
	s.server = site.Server{Root: root, Log: a.log.With(slog.String("site", m.name))}
	s.server.Start(&s.calls)
	m.site = s
	p.begin(place)
	a.rt.backends.add(a.app.Name, addr, s.calls.dial)
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

// calls is a listener without an address. Only this process can connect to it, so it needs no port
// that another program might take.
type calls struct {
	queue  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (c *calls) Accept() (net.Conn, error) {
	select {
	case conn := <-c.queue:
		return conn, nil
	case <-c.closed:
		return nil, net.ErrClosed
	}
}

func (c *calls) Close() error {
	c.once.Do(func() { close(c.closed) })
	return nil
}

func (c *calls) Addr() net.Addr { return &net.UnixAddr{Net: "unix"} }

// dial connects to the listener.
func (c *calls) dial(ctx context.Context) (net.Conn, error) {
	here, there, err := connect()
	if err != nil {
		return nil, err
	}
	select {
	case c.queue <- there:
		return here, nil
	case <-c.closed:
		err = syscall.ECONNREFUSED
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	return nil, errors.Join(err, here.Close(), there.Close())
}

// connect returns the two ends of a connection.
func connect() (here, there net.Conn, err error) {
	syscall.ForkLock.RLock() // not every system can make close-on-exec sockets in one step
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fds[0])
		syscall.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	if here, err = connOf(fds[0]); err != nil {
		syscall.Close(fds[1])
		return nil, nil, err
	}
	if there, err = connOf(fds[1]); err != nil {
		here.Close()
		return nil, nil, err
	}
	return here, there, nil
}

func connOf(fd int) (net.Conn, error) {
	f := os.NewFile(uintptr(fd), "pair")
	defer f.Close()
	return net.FileConn(f)
}
