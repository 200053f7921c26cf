package sshd

import (
	"context"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"paas/limiter"
)

// clientConn is a client's connection with its deadline. Before authentication the deadline is that
// of the handshake; afterwards each byte received extends it by idleTimeout. A timer closes the
// connection, because the libraries set deadlines of their own before each read. Only received
// bytes count: writes to a client that lost its power succeed for a long time.
type clientConn struct {
	net.Conn
	socket        syscall.RawConn // nil if it is not a socket
	timer         *time.Timer
	idleTimeout   time.Duration
	authenticated atomic.Bool     // and admitted
	ctx           context.Context // ends when the connection is closed
	cancel        context.CancelFunc
	unregister    func()
	settle        func() // notes that its first session has begun

	mu      sync.Mutex
	closed  bool
	release func() // frees its slot; nil without one

	sessions atomic.Int32

	// Used during authentication, by one goroutine.
	preAuth     gossh.ServerPreAuthConn
	prolonged   bool     // the handshake was given more time
	unknownKeys []string // fingerprints of offered keys
}

// passphraseTimeout is how long a person may take to unlock or touch a known key.
const passphraseTimeout = 2 * time.Minute

func (c *clientConn) Read(p []byte) (int, error) {
	if c.socket != nil {
		quickAck(c.socket)
	}
	n, err := c.Conn.Read(p)
	if n > 0 && c.authenticated.Load() {
		c.timer.Reset(c.idleTimeout)
	}
	if err != nil {
		c.cancel()
	}
	return n, err
}

func (c *clientConn) Close() error {
	c.timer.Stop()
	return c.shut()
}

func (c *clientConn) shut() error {
	c.cancel()
	c.unregister()
	c.mu.Lock()
	release := c.release
	c.closed, c.release = true, nil
	c.mu.Unlock()
	if release != nil {
		release()
	}
	return c.Conn.Close()
}

// setRelease frees the current slot and sets the function that frees the next; nil means no slot.
// If c is closed already, it frees the new slot and returns false.
func (c *clientConn) setRelease(release func()) bool {
	c.mu.Lock()
	before, left := c.release, c.closed
	if left {
		before = release
	} else {
		c.release = release
	}
	c.mu.Unlock()
	if before != nil {
		before()
	}
	return !left
}

// prolong gives the client more time to sign, once.
func (c *clientConn) prolong() {
	if !c.prolonged {
		c.prolonged = true
		c.timer.Reset(passphraseTimeout)
	}
}

// clientConns is the set of connections, with its limits.
type clientConns struct {
	unauthenticated *limiter.Limiter[netip.Prefix] // by address
	users, admins   *limiter.Limiter[string]       // by key fingerprint

	mu     sync.Mutex
	all    map[*clientConn]struct{} // including queued ones
	closed bool                     // no more are admitted
}

// setLimits sets the maximum number of connections. Unauthenticated clients, users and admins have
// separate limits, so that none can lock out another. A key may use half of its limit, an address a
// quarter of the unauthenticated.
func (cs *clientConns) setLimits(maxConns int) {
	cs.all = map[*clientConn]struct{}{}
	cs.users, cs.admins = limiter.New[string](maxConns), limiter.New[string](maxConns)
	cs.unauthenticated = limiter.New[netip.Prefix](maxConns)
	cs.unauthenticated.Max, cs.unauthenticated.MaxPerKey = max(maxConns/2, 1), max(maxConns/8, 4)
}

// admit registers conn and waits in the queue of unauthenticated connections, at most for queue.
// Then the client has handshake to prove a key.
func (cs *clientConns) admit(conn net.Conn,
	queue, handshake, idle time.Duration) (*clientConn, error) {
	c := &clientConn{Conn: conn, socket: rawSocket(conn), idleTimeout: idle}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.unregister = func() { cs.remove(c) }
	c.timer = time.AfterFunc(queue+handshake, func() { c.shut() })
	err := net.ErrClosed
	if cs.add(c) {
		err = acquire(cs.unauthenticated, c, addrPrefix(conn.RemoteAddr()), queue)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	c.timer.Reset(handshake)
	return c, nil
}

// authenticate records the client's identity. It frees c's unauthenticated slot and waits for one
// of its key, at most for queue.
func (cs *clientConns) authenticate(c *clientConn, who Identity, queue time.Duration) error {
	c.timer.Stop() // the client has done its part
	c.setRelease(nil)
	known := cs.users
	if who.Admin {
		known = cs.admins
	}
	if err := acquire(known, c, who.Fingerprint, queue); err != nil {
		c.timer.Reset(closeGrace) // time for the client to read the error and leave
		return err
	}
	c.authenticated.Store(true)
	c.timer.Reset(c.idleTimeout)
	return nil
}

// acquire gets a slot for c in l. It returns [net.ErrClosed] if c is closed first.
func acquire[K comparable](l *limiter.Limiter[K], c *clientConn, key K, queue time.Duration) error {
	ctx, cancel := context.WithTimeout(c.ctx, queue)
	defer cancel()
	leave, err := l.Acquire(ctx, key)
	if err == nil && !c.setRelease(leave) || c.ctx.Err() != nil {
		return net.ErrClosed
	}
	return err
}

func (cs *clientConns) add(c *clientConn) bool {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	if !cs.closed {
		cs.all[c] = struct{}{}
	}
	return !cs.closed
}

func (cs *clientConns) remove(c *clientConn) {
	cs.mu.Lock()
	defer cs.mu.Unlock()
	delete(cs.all, c)
}

// closeAll closes all connections, also those accepted later.
func (cs *clientConns) closeAll() {
	cs.mu.Lock()
	cs.closed = true
	all := slices.Collect(maps.Keys(cs.all))
	cs.mu.Unlock()
	for _, c := range all {
		c.Close()
	}
}

// rawSocket returns the socket of conn, or nil.
func rawSocket(conn net.Conn) syscall.RawConn {
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

// addrPrefix returns the client's network. All addresses other than TCP count as one.
func addrPrefix(addr net.Addr) netip.Prefix {
	tcp, ok := addr.(*net.TCPAddr)
	if !ok {
		return netip.Prefix{}
	}
	return limiter.Network(tcp.AddrPort().Addr())
}
