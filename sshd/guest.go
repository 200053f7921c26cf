package sshd

import (
	"context"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	gossh "golang.org/x/crypto/ssh"
)

// guest is a connection, with its deadline. Until its key is proven it has the time for a
// handshake; from then on each byte it sends buys it the idle time again. The timer closes the
// connection instead of setting a deadline on it, because the libraries set deadlines of their own
// at each read. Only what the client sends counts: what we write to a client that lost its power
// fits into buffers for a long time.
type guest struct {
	net.Conn
	raw   syscall.RawConn // of the socket; nil: it is none
	alarm *time.Timer
	idle  time.Duration
	in    atomic.Bool     // the key is proven, and there was a place for it
	here  context.Context // ends when the client leaves or is sent away
	end   context.CancelFunc
	off   func() // takes it off the list of guests

	mu    sync.Mutex
	left  bool
	leave func() // gives back its place

	sessions atomic.Int32

	// During authentication, which is one goroutine.
	door     gossh.ServerPreAuthConn
	patience bool     // the handshake was prolonged
	refused  []string // fingerprints that were offered and are unknown
}

// typing is how long the holder of a known key has to type its passphrase or to touch it.
const typing = 2 * time.Minute

func (g *guest) Read(p []byte) (int, error) {
	if g.raw != nil {
		quickAck(g.raw)
	}
	n, err := g.Conn.Read(p)
	if n > 0 && g.in.Load() {
		g.alarm.Reset(g.idle)
	}
	if err != nil {
		g.end()
	}
	return n, err
}

func (g *guest) Close() error {
	g.alarm.Stop()
	return g.shut()
}

func (g *guest) shut() error {
	g.end()
	g.off()
	g.mu.Lock()
	leave := g.leave
	g.left, g.leave = true, nil
	g.mu.Unlock()
	if leave != nil {
		leave()
	}
	return g.Conn.Close()
}

// take gives g a new place, which leave gives back; with nil g has none. The place before is free
// again. Where g was shut already, it is the new one that is free again, and take reports false.
func (g *guest) take(leave func()) bool {
	g.mu.Lock()
	before, left := g.leave, g.left
	if left {
		before = leave
	} else {
		g.leave = leave
	}
	g.mu.Unlock()
	if before != nil {
		before()
	}
	return !left
}

// wait gives the guest more time to sign, once.
func (g *guest) wait() {
	if !g.patience {
		g.patience = true
		g.alarm.Reset(typing)
	}
}

// guests are the connections there are, and how many there may be.
type guests struct {
	strangers     room[netip.Prefix] // without a proven key, by address
	plain, admins room[string]       // by fingerprint of the key

	mu     sync.Mutex
	all    map[*guest]struct{} // waiting ones too
	closed bool                // none is admitted any more
}

// limits sets how many connections there may be. Strangers, plain keys and admins each have a room
// of their own, so that none of these can keep another out. A key gets half of its room, an address
// a quarter of the strangers'. The lines are long enough for everything a CI server starts at once.
func (gs *guests) limits(most int) {
	gs.all = map[*guest]struct{}{}
	gs.strangers.places, gs.strangers.share = max(most/2, 1), max(most/8, 4)
	gs.strangers.line, gs.strangers.lineShare = 4*most, 2*most
	for _, known := range []*room[string]{&gs.plain, &gs.admins} {
		known.places, known.share = most, max(most/2, 1)
		known.line, known.lineShare = 4*most, 2*most
	}
}

// admit makes conn a guest that has a place among the strangers. It waits in line for that, at most
// queue; after that the guest has the time of handshake to prove a key.
func (gs *guests) admit(conn net.Conn, queue, handshake, idle time.Duration) (*guest, error) {
	g := &guest{Conn: conn, raw: rawOf(conn), idle: idle}
	g.here, g.end = context.WithCancel(context.Background())
	g.off = func() { gs.remove(g) }
	g.alarm = time.AfterFunc(queue+handshake, func() { g.shut() })
	err := net.ErrClosed
	if gs.add(g) {
		err = enter(&gs.strangers, g, hostOf(conn.RemoteAddr()), queue)
	}
	if err != nil {
		g.Close()
		return nil, err
	}
	g.alarm.Reset(handshake)
	return g, nil
}

// known is told that g is who. It gives g a place for that key in exchange for the one among the
// strangers, and waits in line for that, at most queue.
func (gs *guests) known(g *guest, who Identity, queue time.Duration) error {
	g.alarm.Stop() // the client has done its part
	g.take(nil)
	known := &gs.plain
	if who.Admin {
		known = &gs.admins
	}
	if err := enter(known, g, who.Fingerprint, queue); err != nil {
		g.alarm.Reset(hangUp) // the client is told, and leaves by itself
		return err
	}
	g.in.Store(true)
	g.alarm.Reset(g.idle)
	return nil
}

// enter gets g a place in r, as one of party's. It is [net.ErrClosed] where g leaves, or is sent away,
// before that.
func enter[P comparable](r *room[P], g *guest, party P, queue time.Duration) error {
	ctx, cancel := context.WithTimeout(g.here, queue)
	defer cancel()
	leave, err := r.enter(ctx, party)
	if err == nil && !g.take(leave) || g.here.Err() != nil {
		return net.ErrClosed
	}
	return err
}

func (gs *guests) add(g *guest) bool {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	if !gs.closed {
		gs.all[g] = struct{}{}
	}
	return !gs.closed
}

func (gs *guests) remove(g *guest) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	delete(gs.all, g)
}

// closeAll closes the connections there are and those that come late.
func (gs *guests) closeAll() {
	gs.mu.Lock()
	gs.closed = true
	var all []*guest
	for g := range gs.all {
		all = append(all, g)
	}
	gs.mu.Unlock()
	for _, g := range all {
		g.Close()
	}
}

// rawOf is the socket under conn, or nil.
func rawOf(conn net.Conn) syscall.RawConn {
	socket, ok := conn.(syscall.Conn)
	if !ok {
		return nil
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return nil
	}
	return raw
}

// hostOf is the address, or for IPv6 the /64, which is what one customer gets. All that is not TCP
// is one host.
func hostOf(addr net.Addr) netip.Prefix {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	ip := tcp.AddrPort().Addr().Unmap().WithZone("")
	prefix, _ := ip.Prefix(min(64, ip.BitLen()))
	return prefix
}
