package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/rogpeppe/go-internal/testscript"

	"paas/rig"
	"time"
)

// keptConn is a client's open connection to the front door.
type keptConn struct {
	net.Conn
	in     *bufio.Reader
	app    string
	tunnel bool // it was upgraded: what is sent comes back
}

// kept open APP opens two connections to an app (webapp), with a request on each; one becomes a
// websocket. kept use APP asks once more on both, and both must answer.
func cmdKept(ts *testscript.TestScript, neg bool, args []string) {
	s := stateOf(ts)
	if len(args) != 2 || neg {
		ts.Fatalf("usage: kept open APP | kept use APP")
	}
	if args[0] == "open" {
		for _, tunnel := range []bool{false, true} {
			conn, err := net.Dial("tcp", "127.0.0.1:"+ts.Getenv("HTTPPORT"))
			ts.Check(err)
			ts.Defer(func() { conn.Close() })
			k := &keptConn{Conn: conn, in: bufio.NewReader(conn), app: args[1], tunnel: tunnel}
			ts.Check(k.open())
			s.kept = append(s.kept, k)
		}
		return
	}
	for _, k := range s.kept {
		if k.app == args[1] {
			ts.Check(k.use())
		}
	}
}

func (k *keptConn) open() error {
	if !k.tunnel {
		return k.use()
	}
	return k.ask("/echo", "Upgrade: websocket\r\nConnection: Upgrade\r\n", http.StatusSwitchingProtocols)
}

func (k *keptConn) use() error {
	if !k.tunnel {
		return k.ask("/", "", http.StatusOK)
	}
	k.SetDeadline(time.Now().Add(rig.Patience))
	const frame = "\x82\x05hello"
	if _, err := io.WriteString(k, frame); err != nil {
		return err
	}
	got := make([]byte, len(frame))
	if _, err := io.ReadFull(k.in, got); err != nil || string(got) != frame {
		return fmt.Errorf("the websocket answers %q, %v", got, err)
	}
	return nil
}

func (k *keptConn) ask(path, fields string, want int) error {
	k.SetDeadline(time.Now().Add(rig.Patience))
	fmt.Fprintf(k, "GET %s HTTP/1.1\r\nHost: %s.localhost\r\n%s\r\n", path, k.app, fields)
	resp, err := http.ReadResponse(k.in, nil)
	if err != nil {
		return err
	}
	if want == http.StatusOK {
		io.Copy(io.Discard, resp.Body)
	}
	if resp.StatusCode != want {
		return fmt.Errorf("%s%s: %s", k.app, path, resp.Status)
	}
	return nil
}
