package ports

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
)

// Check reports why it cannot be found out whose a port is; nil: it can.
var Check = sync.OnceValue(func() error {
	if !supported {
		return errors.New("only Linux tells whose a port is")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer l.Close()
	s, err := lookUp(addrPort(l.Addr()), netip.AddrPortFrom(addrPort(l.Addr()).Addr(), 0))
	if err != nil {
		return fmt.Errorf("the kernel does not tell whose a port is: %w", err)
	}
	if !s.listens {
		return errors.New("the kernel does not tell who listens on a port")
	}
	return nil
})
