package ports

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
)

// Check returns an error if this system cannot tell who owns a port.
var Check = sync.OnceValue(func() error {
	if !supported {
		return errors.New("only Linux tells who owns a port")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close()
	s, err := lookUp(addrPort(l.Addr()), netip.AddrPortFrom(addrPort(l.Addr()).Addr(), 0))
	if err != nil {
		return fmt.Errorf("the kernel does not tell who owns a port: %w", err)
	}
	if !s.listens {
		return errors.New("the kernel does not tell who listens on a port")
	}
	return nil
})
