package sshd

import (
	"bufio"
	"context"
	"errors"
	"net"
	"strings"
	"time"
)

// Probe reports whether an SSH server answers at addr, host:port. It blocks until ctx ends.
func Probe(ctx context.Context, addr string) error {
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
