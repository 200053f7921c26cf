package remote

import (
	"context"
	"errors"
	"net"
	"time"
)

// reachTimeout is much longer than connecting to a working host takes.
const reachTimeout = 5 * time.Second

// Unreachable reports whether err, from Head or Fetch, means that no connection to the host could
// be made: its name does not resolve, nothing listens there, or it does not answer. An unreachable
// proxy does not count.
func Unreachable(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// HostPort returns the host:port of a valid url, or "".
func HostPort(url string) string {
	at, err := parse(url)
	if err != nil {
		return ""
	}
	return at.hostport()
}

// Reach connects to host (host:port, see [HostPort]) and disconnects. It returns an error if
// nothing listens there. It blocks for 5 s at most.
func (c *Client) Reach(ctx context.Context, host string) error {
	conn, err := (&net.Dialer{Timeout: reachTimeout}).DialContext(ctx, "tcp", host)
	if err != nil {
		return err
	}
	return conn.Close()
}
