package remote

import (
	"context"
	"fmt"
	"net"
)

// openGitDaemon opens a session with a git daemon (gitprotocol-pack(5), "Git Transport"). The
// daemon serves one request per connection, so connections are not kept.
func openGitDaemon(ctx context.Context, at address, limit int64, onData func()) (*session, error) {
	conn, err := (&net.Dialer{Timeout: dialTimeout}).DialContext(ctx, "tcp", at.hostport())
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	s := &session{
		in: newPacketReader(conn, limit, onData),
		send: func(q request) error {
			_, err := conn.Write(q)
			return err
		},
		close: func() {
			stop()
			conn.Write([]byte("0000")) // else the server logs an error
			conn.Close()
		},
		discard: func() {},
	}
	hello := fmt.Sprintf("git-upload-pack %s\x00host=%s\x00\x00version=2\x00", at.path,
		at.hostport())
	_, err = fmt.Fprintf(conn, "%04x%s", len(hello)+4, hello)
	if err == nil {
		err = s.handshake()
	}
	if err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}
