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

// ErrForeign says that a program that is not the owner's listens where it was dialed.
var ErrForeign = errors.New("another program listens there")

// Owner is who must listen on a port for [Owner.Dial] to connect to it. Fill in UID or Holds, or [Owner.Listen];
// then Dial may be called from several goroutines.
type Owner struct {
	// UID is the owner's user, which nobody else has: all sockets of that user are the owner's. 0: the owner has
	// no user of its own, and Holds decides.
	UID int
	// Holds reports whether one of the owner's processes has the socket open that has this inode. It is
	// called for sockets that are new, so it may take some milliseconds. nil: none has.
	Holds func(inode uint32) bool

	mu      sync.Mutex // held by those who change known
	known   atomic.Pointer[sockets]
	foreign map[uint64]time.Time // listening sockets of other programs, and when they were found to be
}

// sockets are the owner's listening sockets, by their cookie. A set is never changed, only replaced.
type sockets map[uint64]joining

// joining is whether a program that is not the owner's can listen beside a socket and take a share of its
// connections.
type joining bool

const (
	alone    joining = false
	joinable joining = true
)

// tries is how often Dial connects: once to get to know a new socket, once more to be sure of the
// connection, and again where the owner has opened a further socket meanwhile.
const tries = 4

// Dial connects to addr, an IP address and a port of this machine. It returns an error that is [ErrForeign] where
// a program listens there that is not the owner's, and errors of the kernel as they are. It blocks until
// connected, or ctx ends. Where [Check] reports an error, Dial is net.Dial.
func (o *Owner) Dial(ctx context.Context, addr string) (net.Conn, error) {
	// On the loopback keep-alive probes tell nothing that a reset would not.
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

// errAgain says that the listening sockets are the owner's, and that they were not known to be when the
// connection was opened.
var errAgain = errors.New("the program opens a new socket each time")

// Listen listens on addr, of this machine, and makes the socket one of the owner's.
func (o *Owner) Listen(addr string) (net.Listener, error) {
	var config net.ListenConfig
	config.SetMultipathTCP(false) // else the kernel has two sockets, and the number of the other one
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
	o.known.Store(&sockets{cookie: alone}) // Go sets no SO_REUSEPORT
	return l, nil
}

// sockets are those known now.
func (o *Owner) sockets() sockets {
	if known := o.known.Load(); known != nil {
		return *known
	}
	return nil
}

// check reports nil where conn, opened while before was known, leads to the owner.
func (o *Owner) check(before sockets, conn net.Conn) error {
	theirs, ours := addrPort(conn.RemoteAddr()), addrPort(conn.LocalAddr())
	// Whom the next connection would lead to. Port 0 is nobody's, so it is no connection that is found.
	next, err := lookUp(theirs, netip.AddrPortFrom(ours.Addr(), 0))
	if err == nil && next.listens {
		if joining, known := before[next.cookie]; known && joining == alone {
			return nil
		}
	}
	rivals, err := takers(theirs)
	if err != nil {
		return err
	}
	fresh, err := o.meet(before, theirs, rivals)
	if err != nil {
		return err
	}
	if fresh || len(rivals) == 0 {
		return errAgain // a program may have listened there until just now
	}
	return o.checkPeer(theirs, ours)
}

// meet reports whether there are any among the sockets, which listen at addr, that were not known before. They
// are from now on, where they are the owner's; the error is ErrForeign where one is not.
func (o *Owner) meet(before sockets, addr netip.AddrPort, listening []socket) (fresh bool, err error) {
	o.mu.Lock() // so that of many who meet a new socket one looks for it
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
		if time.Since(o.foreign[s.cookie]) < foreignFor {
			return false, ErrForeign
		}
		if !o.owns(s) {
			if o.foreign == nil || len(o.foreign) >= maxKnown {
				o.foreign = map[uint64]time.Time{}
			}
			o.foreign[s.cookie] = time.Now()
			return false, ErrForeign
		}
		next[s.cookie] = alone
		if o.UID == 0 { // else the kernel lets only the same user join
			next[s.cookie] = joining(canJoin(addr))
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

// foreignFor is how long a socket that was another program's is taken for that without another look.
const foreignFor = time.Second / 10

// maxKnown is how many sockets are remembered before those that may be closed are forgotten.
const maxKnown = 256

// checkPeer reports nil where the connection from ours to theirs ends at the owner. The caller has seen, after
// it was opened, that all who listen there are the owner's: so a connection that nobody has accepted yet
// waits for the owner.
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

// A program that has accepted a connection has it among its open files a moment later, be it in another process.
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
