package remote

import (
	"context"
	"fmt"
	"net"
)

// openDaemon calls a git daemon (gitprotocol-pack(5), "Git Transport"). It hears one request a
// connection, so there is nothing to keep.
func openDaemon(ctx context.Context, at address, limit int64, heard func()) (*session, error) {
	conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "tcp", at.hostport())
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	s := &session{
		in: newPackets(conn, limit, heard),
		send: func(q request) error {
			_, err := conn.Write(q)
			return err
		},
		end: func() {
			stop()
			conn.Write([]byte("0000")) // else the server logs that we hung up
			conn.Close()
		},
		forget: func() {},
	}
	hello := fmt.Sprintf("git-upload-pack %s\x00host=%s\x00\x00version=2\x00", at.path, at.hostport())
	_, err = fmt.Fprintf(conn, "%04x%s", len(hello)+4, hello)
	if err == nil {
		err = s.greet()
	}
	if err != nil {
		s.end()
		return nil, err
	}
	return s, nil
}
