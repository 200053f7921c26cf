package sshd

import (
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	gossh "golang.org/x/crypto/ssh"
)

// guest is a connection, with its deadline. Until its key is proven it has the time for a
// handshake; from then on each byte it sends buys it the idle time anew. The timer closes the
// connection instead of setting a deadline on it, because the libraries set deadlines of their own
// at each read. Only what the client sends counts: what we write to a client that lost its power
// fits into buffers for a long time.
type guest struct {
	net.Conn
	raw   syscall.RawConn // of the socket; nil: it is none
	alarm *time.Timer
	idle  time.Duration
	in    atomic.Bool // the key is proven
	leave func()

	sessions atomic.Int32

	// During authentication, which is one goroutine.
	door     gossh.ServerPreAuthConn
	patience bool     // the handshake was prolonged
	refused  []string // fingerprints that were offered and are unknown
}

// typing is how long a person has who holds a known key, to type its passphrase or to touch it.
const typing = 2 * time.Minute

func (g *guest) Read(p []byte) (int, error) {
	if g.raw != nil {
		quickAck(g.raw)
	}
	n, err := g.Conn.Read(p)
	if n > 0 && g.in.Load() {
		g.alarm.Reset(g.idle)
	}
	return n, err
}

func (g *guest) Close() error {
	g.alarm.Stop()
	return g.shut()
}

func (g *guest) shut() error {
	g.leave()
	return g.Conn.Close()
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
	mu        sync.Mutex
	all       map[*guest]struct{}
	strangers int // without a proven key yet
	perHost   map[netip.Prefix]int
	closed    bool // none is admitted any more

	max, maxStrangers, maxPerHost int
}

// limits sets how many connections there may be. Half of them may be strangers, so that a flood
// of those leaves room for who is in; one host gets an eighth.
func (gs *guests) limits(most int) {
	gs.max, gs.maxStrangers, gs.maxPerHost = most, max(most/2, 1), max(most/8, 4)
	gs.all = map[*guest]struct{}{}
	gs.perHost = map[netip.Prefix]int{}
}

// admit takes a connection in as a stranger, or says which limit is reached.
func (gs *guests) admit(conn net.Conn, handshake, idle time.Duration) (*guest, error) {
	host := hostOf(conn.RemoteAddr())
	gs.mu.Lock()
	defer gs.mu.Unlock()
	switch {
	case gs.closed:
		return nil, net.ErrClosed
	case len(gs.all) >= gs.max:
		return nil, errors.New("too many connections")
	case gs.strangers >= gs.maxStrangers:
		return nil, errors.New("too many connections without a key")
	case gs.perHost[host] >= gs.maxPerHost:
		return nil, errors.New("too many connections of this host without a key")
	}
	g := &guest{Conn: conn, idle: idle, raw: rawOf(conn)}
	g.leave = sync.OnceFunc(func() { gs.remove(g) })
	g.alarm = time.AfterFunc(handshake, func() { g.shut() })
	gs.all[g] = struct{}{}
	gs.strangers++
	gs.perHost[host]++
	return g, nil
}

// known is told that the guest proved its key.
func (gs *guests) known(g *guest) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	if _, here := gs.all[g]; here && !g.in.Swap(true) {
		gs.forget(g)
		g.alarm.Reset(g.idle)
	}
}

func (gs *guests) remove(g *guest) {
	gs.mu.Lock()
	defer gs.mu.Unlock()
	delete(gs.all, g)
	if !g.in.Load() {
		gs.forget(g)
	}
}

// forget takes g out of the strangers; gs.mu is held.
func (gs *guests) forget(g *guest) {
	gs.strangers--
	host := hostOf(g.RemoteAddr())
	if gs.perHost[host]--; gs.perHost[host] <= 0 {
		delete(gs.perHost, host)
	}
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
