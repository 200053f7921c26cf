package ports

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// ErrForeign means that another program than the owner's listens at the address.
var ErrForeign = errors.New("another program listens there")

// Owner is who must listen on a port for [Owner.Dial] to connect. Set UID or Holds, or call
// [Owner.Listen]. Then Dial is safe for concurrent use.
type Owner struct {
	// UID is the owner's user id, which nobody else has: all sockets of that user belong to the
	// owner. 0: the owner has no user of its own, and Holds decides.
	UID int
	// Holds reports whether one of the owner's processes has the socket with this inode open. It is
	// called for new sockets only, so it may take some milliseconds. nil: none has.
	Holds func(inode uint32) bool

	mu      sync.Mutex // held to change known
	known   atomic.Pointer[sockets]
	foreign map[uint64]time.Time // cookie of another program's socket -> when it was checked
}

// sockets are the owner's listening sockets by cookie. A set is never changed, only replaced.
type sockets map[uint64]shareable

// shareable says whether another program can listen beside a socket and take some of its
// connections.
type shareable bool

const (
	exclusive shareable = false
	shared    shareable = true
)

// tries is how often Dial connects: once to find a new socket, once more to be sure of the
// connection, and again if the owner has opened another socket meanwhile.
const tries = 4

// Dial connects to addr, an IP address and port of this machine. The error is [ErrForeign] if
// another program listens there. The kernel's errors are returned as they are. Dial blocks until it
// is connected or ctx ends. If [Check] fails, Dial is just net.Dial.
func (o *Owner) Dial(ctx context.Context, addr string) (net.Conn, error) {
	// on the loopback interface, keep-alive probes find nothing that a reset would not
	dialer := net.Dialer{KeepAlive: -1, FallbackDelay: -1}
	for try := 1; ; try++ {
		before := o.sockets()
		conn, err := dialer.DialContext(ctx, "tcp", addr)
		if err != nil || Check() != nil {
			return conn, err
		}
		err = o.check(before, conn)
		if err == nil {
			return conn, nil
		}
		conn.Close()
		if !errors.Is(err, errAgain) || try == tries || ctx.Err() != nil {
			return nil, fmt.Errorf("%s: %w", addr, err)
		}
	}
}

// errAgain means that the listening sockets belong to the owner but were unknown when the
// connection was opened.
var errAgain = errors.New("the program opens a new socket each time")

// Listen listens on addr, an address of this machine, and makes the socket the owner's.
func (o *Owner) Listen(addr string) (net.Listener, error) {
	var config net.ListenConfig
	// else there are two sockets, and the cookie is that of the other one
	config.SetMultipathTCP(false)
	var cookie uint64
	config.Control = func(_, _ string, raw syscall.RawConn) (err error) {
		if Check() != nil {
			return nil
		}
		controlErr := raw.Control(func(fd uintptr) { cookie, err = cookieOf(fd) })
		return errors.Join(controlErr, err)
	}
	l, err := config.Listen(context.Background(), "tcp", addr)
	if err != nil {
		return nil, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.known.Store(&sockets{cookie: exclusive}) // Go sets no SO_REUSEPORT
	return l, nil
}

// sockets returns the known sockets.
func (o *Owner) sockets() sockets {
	if known := o.known.Load(); known != nil {
		return *known
	}
	return nil
}

// check returns nil if conn, opened while the sockets in before were known, leads to the owner.
func (o *Owner) check(before sockets, conn net.Conn) error {
	theirs, ours := addrPort(conn.RemoteAddr()), addrPort(conn.LocalAddr())
	// Who would get the next connection? Port 0 is never used, so this finds no existing one.
	next, err := lookUp(theirs, netip.AddrPortFrom(ours.Addr(), 0))
	if err == nil && next.listens {
		if share, known := before[next.cookie]; known && share == exclusive {
			return nil
		}
	}
	listening, err := acceptors(theirs)
	if err != nil {
		return err
	}
	fresh, err := o.learn(before, theirs, listening)
	if err != nil {
		return err
	}
	if fresh || len(listening) == 0 {
		return errAgain // another program may have listened there until now
	}
	return o.checkPeer(theirs, ours)
}

// learn checks the sockets that listen at addr and adds the owner's new ones to the known set.
// fresh reports whether one of them was not in before. The error is ErrForeign if one belongs to
// another program.
func (o *Owner) learn(
	before sockets, addr netip.AddrPort, listening []socket,
) (fresh bool, err error) {
	o.mu.Lock() // of many concurrent calls only one searches for a new socket
	defer o.mu.Unlock()
	known := o.sockets()
	next := maps.Clone(known)
	if next == nil || len(next) >= maxKnown {
		next = sockets{}
	}
	for _, s := range listening {
		if _, ok := before[s.cookie]; ok {
			continue
		}
		fresh = true
		if _, ok := known[s.cookie]; ok {
			continue
		}
		if time.Since(o.foreign[s.cookie]) < foreignTTL {
			return false, ErrForeign
		}
		if !o.owns(s) {
			if o.foreign == nil || len(o.foreign) >= maxKnown {
				o.foreign = map[uint64]time.Time{}
			}
			o.foreign[s.cookie] = time.Now()
			return false, ErrForeign
		}
		next[s.cookie] = exclusive
		if o.UID == 0 { // with a UID the kernel lets no other user join
			next[s.cookie] = shareable(canJoin(addr))
		}
	}
	o.known.Store(&next)
	return fresh, nil
}

// owns reports whether the owner has the socket open.
func (o *Owner) owns(s socket) bool {
	if o.UID != 0 {
		return s.uid == uint32(o.UID)
	}
	return o.Holds != nil && s.inode != 0 && o.Holds(s.inode)
}

// foreignTTL is how long a socket counts as another program's before it is checked again.
const foreignTTL = time.Second / 10

// maxKnown is how many sockets are remembered; then all are forgotten, because some may be closed.
const maxKnown = 256

// checkPeer returns nil if the connection from ours to theirs ends at the owner. The caller has
// checked, after opening it, that only the owner listens there. So a connection that nobody has
// accepted yet waits for the owner.
func (o *Owner) checkPeer(theirs, ours netip.AddrPort) error {
	for try := range peerTries {
		if try > 0 {
			time.Sleep(peerPause)
		}
		peer, err := lookUp(theirs, ours)
		switch {
		case errors.Is(err, syscall.ENOENT):
			return nil // closed: nobody reads from it
		case err != nil:
			return err
		case peer.listens: // the handshake is under way
		case peer.inode == 0, o.owns(peer):
			return nil
		}
	}
	return ErrForeign
}

// A program that accepts a connection has it among its open files a moment later, perhaps in
// another process.
const (
	peerTries = 20
	peerPause = time.Millisecond
)

func addrPort(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	addr := tcp.AddrPort()
	return netip.AddrPortFrom(addr.Addr().Unmap(), addr.Port())
}
