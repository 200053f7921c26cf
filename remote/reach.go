package remote

import (
	"context"
	"errors"
	"net"
	"time"
)

// reachTimeout is far longer than a connection takes to a host that is up.
const reachTimeout = 5 * time.Second

// Unreachable reports whether err, of a look or a fetch, means that no connection could be made: the
// name has no address, nothing listens there, or no answer comes. A proxy that cannot be reached is
// not meant.
func Unreachable(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// Host is the host and port to connect to for url, which [Check] accepts; empty for any other text.
func Host(url string) string {
	at, err := parse(url)
	if err != nil {
		return ""
	}
	return at.hostport()
}

// Reach connects to host, host:port as [Host] returns it, and hangs up. The error is nil if something
// listens there. Blocks for 5 s at most.
func (c *Client) Reach(ctx context.Context, host string) error {
	conn, err := (&net.Dialer{Timeout: reachTimeout}).DialContext(ctx, "tcp", host)
	if err != nil {
		return err
	}
	return conn.Close()
}
