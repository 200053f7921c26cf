//go:build !linux

package ports

import (
	"errors"
	"net/netip"
)

const supported = false

// socket is a TCP socket; see the file for Linux.
type socket struct {
	cookie  uint64
	inode   uint32
	uid     uint32
	port    uint16
	listens bool
}

func lookUp(_, _ netip.AddrPort) (socket, error) { return socket{}, errors.ErrUnsupported }
func acceptors(netip.AddrPort) ([]socket, error) { return nil, errors.ErrUnsupported }
func listening(uint16) ([]socket, error)         { return nil, errors.ErrUnsupported }
func canJoin(netip.AddrPort) bool                { return true }
func cookieOf(uintptr) (uint64, error)           { return 0, errors.ErrUnsupported }
