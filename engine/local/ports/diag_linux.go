package ports

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"net/netip"
	"sync"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// socket is a TCP socket as the kernel describes it.
type socket struct {
	cookie  uint64 // unique; never reused
	inode   uint32 // as in /proc/PID/fd; 0: no program has it open
	uid     uint32 // of the program that opened it; may be 0 if none has it open
	addr    netip.Addr
	port    uint16
	only6   bool // an IPv6 socket that accepts no IPv4
	listens bool
}

const supported = true

// Constants of the kernel's headers that x/sys/unix lacks.
const (
	stateListen     = 10 // TCP_LISTEN of net/tcp_states.h
	attributeV6Only = 11 // INET_DIAG_SKV6ONLY of linux/inet_diag.h
)

// diagID is struct inet_diag_sockid. Ports and addresses are in network byte order.
type diagID struct {
	SourcePort, DestinationPort [2]byte
	Source, Destination         [16]byte
	Interface                   uint32
	Cookie                      [2]uint32
}

// diagRequest is struct nlmsghdr followed by struct inet_diag_req_v2.
type diagRequest struct {
	Header     unix.NlMsghdr
	Family     uint8
	Protocol   uint8
	Extensions uint8
	_          uint8
	States     uint32
	ID         diagID
}

// diagAnswer is struct inet_diag_msg. Attributes follow it.
type diagAnswer struct {
	Family, State, Timer, Retransmits uint8
	ID                                diagID
	Expires, ReceiveQueue, SendQueue  uint32
	UID, Inode                        uint32
}

// lookUp finds the socket at local that gets packets from remote: the one connected to remote, or
// one that listens. The error is ENOENT if there is none.
func lookUp(local, remote netip.AddrPort) (socket, error) {
	request := newRequest(local, remote)
	const loopback = 1 // index of the interface, to which a socket may be bound
	request.ID.Interface = loopback
	found, err := query(request)
	if err != nil {
		return socket{}, err
	}
	if len(found) == 0 {
		return socket{}, unix.ENOENT
	}
	return found[0], nil
}

// acceptors returns the listening sockets that may get a connection to addr.
func acceptors(addr netip.AddrPort) (list []socket, err error) {
	all, err := listening(addr.Port())
	for _, s := range all {
		if s.takes(addr.Addr()) {
			list = append(list, s)
		}
	}
	return list, err
}

// listening returns the sockets that listen on port on any address; port 0 means all ports.
func listening(port uint16) (all []socket, err error) {
	request := newRequest(netip.AddrPortFrom(netip.IPv4Unspecified(), port), netip.AddrPort{})
	request.Header.Flags |= unix.NLM_F_DUMP
	request.States = 1 << stateListen
	for _, family := range []uint8{unix.AF_INET, unix.AF_INET6} {
		request.Family = family
		some, err := query(request)
		// a kernel without IPv6
		if err != nil && !(family == unix.AF_INET6 && errors.Is(err, unix.ENOENT)) {
			return nil, err
		}
		all = append(all, some...)
	}
	return all, nil
}

// takes reports whether a listening socket may get a connection to addr.
func (s socket) takes(addr netip.Addr) bool {
	own := s.addr.Unmap()
	switch {
	case own == addr:
		return true
	case !own.IsUnspecified():
		return false
	}
	return own.Is4() == addr.Is4() || own.Is6() && !s.only6
}

// canJoin reports whether another program of this user could also listen at addr.
func canJoin(addr netip.AddrPort) bool {
	if !addr.Addr().Is4() {
		return true // then each connection is checked
	}
	at := &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return true
	}
	defer unix.Close(fd)
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
		return true
	}
	return !errors.Is(unix.Bind(fd, at), unix.EADDRINUSE)
}

// cookieOf returns the cookie of the socket behind fd.
func cookieOf(fd uintptr) (uint64, error) {
	return unix.GetsockoptUint64(int(fd), unix.SOL_SOCKET, unix.SO_COOKIE)
}

func newRequest(local, remote netip.AddrPort) *diagRequest {
	r := &diagRequest{Family: unix.AF_INET, Protocol: unix.IPPROTO_TCP, States: math.MaxUint32}
	if local.Addr().Is6() {
		r.Family = unix.AF_INET6
	}
	r.Header = unix.NlMsghdr{
		Len:   uint32(unsafe.Sizeof(*r)),
		Type:  unix.SOCK_DIAG_BY_FAMILY,
		Flags: unix.NLM_F_REQUEST,
	}
	binary.BigEndian.PutUint16(r.ID.SourcePort[:], local.Port())
	binary.BigEndian.PutUint16(r.ID.DestinationPort[:], remote.Port())
	copy(r.ID.Source[:], local.Addr().AsSlice())
	copy(r.ID.Destination[:], remote.Addr().AsSlice())
	r.ID.Cookie = [2]uint32{math.MaxUint32, math.MaxUint32} // any
	return r
}

// answers are buffers of the largest size that the kernel sends at once.
var answers = sync.Pool{New: func() any { return new([32 << 10]byte) }}

// query sends a request to the kernel. It does not block: the answer is ready when the call
// returns.
func query(request *diagRequest) (found []socket, err error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_SOCK_DIAG)
	if err != nil {
		return nil, fmt.Errorf("sock_diag: %w", err)
	}
	defer unix.Close(fd)
	message := unsafe.Slice((*byte)(unsafe.Pointer(request)), unsafe.Sizeof(*request))
	kernel := &unix.SockaddrNetlink{Family: unix.AF_NETLINK}
	if err := unix.Sendto(fd, message, 0, kernel); err != nil {
		return nil, fmt.Errorf("sock_diag: %w", err)
	}
	buffer := answers.Get().(*[32 << 10]byte)
	defer answers.Put(buffer)
	for {
		n, _, err := unix.Recvfrom(fd, buffer[:], unix.MSG_DONTWAIT)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return nil, fmt.Errorf("sock_diag: %w", err)
		}
		var done bool
		if found, done, err = parse(buffer[:n], found); err != nil || done {
			return found, err
		}
		if request.Header.Flags&unix.NLM_F_DUMP == 0 {
			return found, nil
		}
	}
}

// parse appends the sockets of one datagram to found. done reports that the kernel sends no more.
// The kernel's own errors are returned as they are.
func parse(data []byte, found []socket) (_ []socket, done bool, err error) {
	messages, err := syscall.ParseNetlinkMessage(data)
	if err != nil {
		return found, false, errShort
	}
	for _, m := range messages {
		switch m.Header.Type {
		case unix.NLMSG_DONE:
			return found, true, nil
		case unix.NLMSG_ERROR:
			if len(m.Data) < 4 {
				return found, false, errShort
			}
			return found, false, unix.Errno(-int32(binary.NativeEndian.Uint32(m.Data)))
		case unix.SOCK_DIAG_BY_FAMILY:
			s, err := parseSocket(m.Data)
			if err != nil {
				return found, false, err
			}
			found = append(found, s)
		}
	}
	return found, false, nil
}

var errShort = errors.New("sock_diag: truncated answer")

func parseSocket(body []byte) (socket, error) {
	var a diagAnswer
	whole := unsafe.Slice((*byte)(unsafe.Pointer(&a)), unsafe.Sizeof(a))
	if copy(whole, body) < len(whole) {
		return socket{}, errShort
	}
	s := socket{
		cookie: uint64(a.ID.Cookie[1])<<32 | uint64(a.ID.Cookie[0]),
		inode:  a.Inode, uid: a.UID, listens: a.State == stateListen,
		port: binary.BigEndian.Uint16(a.ID.SourcePort[:]),
		addr: netip.AddrFrom4([4]byte(a.ID.Source[:4])),
	}
	if a.Family == unix.AF_INET6 {
		s.addr = netip.AddrFrom16(a.ID.Source)
	}
	for rest := body[len(whole):]; len(rest) >= unix.SizeofNlAttr; {
		size := int(binary.NativeEndian.Uint16(rest))
		if size < unix.SizeofNlAttr || size > len(rest) {
			return socket{}, errShort
		}
		kind := binary.NativeEndian.Uint16(rest[2:])
		if kind == attributeV6Only && size > unix.SizeofNlAttr {
			s.only6 = rest[unix.SizeofNlAttr] != 0
		}
		rest = rest[min((size+3)&^3, len(rest)):] // where the next one begins
	}
	return s, nil
}
