package sshd

import (
	"bufio"
	"context"
	"errors"
	"net"
	"strings"
	"time"
)

// probeLimit is how long a server may take to greet.
const probeLimit = 5 * time.Second

// Probe reports whether an SSH server answers at addr, host:port. Blocks until ctx ends, at most 5
// s.
func Probe(ctx context.Context, addr string) error {
	ctx, cancel := context.WithTimeout(ctx, probeLimit)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", addr)
	if err != nil {
		return err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })()
	line, err := bufio.NewReader(conn).ReadString('\n')
	if err == nil && !strings.HasPrefix(line, "SSH-2.0-") { // RFC 4253, section 4.2
		err = errors.New("something else has its port")
	}
	return err
}
