package router

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// upgradeWriter lets ReverseProxy have a connection that can be closed politely.
type upgradeWriter struct {
	http.ResponseWriter
	x *exchange
}

func (w *upgradeWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// Hijack is called when the app has agreed to switch protocols.
func (w *upgradeWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	nc, brw, err := w.x.ctl.Hijack()
	if err != nil {
		return nil, nil, err
	}
	c := &clientConn{
		Conn:      nc,
		early:     brw.Reader,
		websocket: strings.EqualFold(w.x.in.Header.Get("Upgrade"), "websocket"),
		release:   w.x.router.gate.retake(),
		cutOff:    make(chan struct{}),
	}
	w.x.hijacked = true
	w.x.router.addStream(w.x, func() {
		c.cut()
		w.x.tunnel.Close()
	})
	return c, bufio.NewReadWriter(brw.Reader, bufio.NewWriter(c)), nil
}

// clientConn is a client's connection after the switch.
type clientConn struct {
	net.Conn
	early     *bufio.Reader // may hold bytes that came before the switch
	websocket bool
	release   func()

	mu     sync.Mutex // one writer at a time
	begun  bool       // the header of the 101 is through
	frames frames     // where in the app's stream of frames we are
	going  bool       // nothing of the app's follows
	once   sync.Once
	cutOff chan struct{}
}

// farewell is how long a close frame may take to be sent, and then to be answered.
const farewell = time.Second

func (c *clientConn) Read(p []byte) (int, error) {
	if n := c.early.Buffered(); n > 0 {
		return c.early.Read(p[:min(n, len(p))])
	}
	return c.Conn.Read(p)
}

func (c *clientConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.going {
		return 0, net.ErrClosed
	}
	n, err := c.Conn.Write(p)
	if !c.begun {
		c.begun = bytes.HasSuffix(p, []byte("\r\n\r\n"))
	} else if c.websocket {
		c.frames.advance(p[:n])
	}
	return n, err
}

func (c *clientConn) CloseWrite() error {
	if w, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return w.CloseWrite()
	}
	return nil
}

// goingAway is a server's close frame with status 1001 (RFC 6455 sections 5.5.1 and 7.4.1).
var goingAway = []byte{0x88, 2, 1001 >> 8, 1001 & 0xff}

// cut tells a websocket's client that we are going away, where a frame can be put between the
// app's, and ends the connection in any case.
func (c *clientConn) cut() {
	c.SetWriteDeadline(time.Now().Add(farewell)) // also for the Write that may be stuck
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.going {
		return
	}
	c.going = true
	if c.websocket && c.begun && c.frames.between() {
		c.Conn.Write(goingAway)
	}
	c.CloseWrite()
	close(c.cutOff)
	c.SetReadDeadline(time.Now().Add(farewell)) // ends the copying, and so the app's side
}

// Close is ReverseProxy's, when either side has ended.
func (c *clientConn) Close() error {
	c.once.Do(func() {
		select {
		case <-c.cutOff:
			// Closing on bytes not yet read would send a reset, which may overtake the close frame.
			io.Copy(io.Discard, c.Conn)
		default:
		}
		c.release()
	})
	return c.Conn.Close()
}

// frames follows a server's websocket frames (RFC 6455 section 5.2) as they pass by.
type frames struct {
	head []byte // of a frame whose header is not complete
	left uint64 // bytes of payload to come
}

// between reports whether the last frame is complete.
func (f *frames) between() bool { return f.left == 0 && len(f.head) == 0 }

func (f *frames) advance(p []byte) {
	for len(p) > 0 {
		if f.left > 0 {
			n := min(f.left, uint64(len(p)))
			f.left -= n
			p = p[n:]
			continue
		}
		f.head = append(f.head, p[0])
		p = p[1:]
		if len(f.head) < 2 {
			continue
		}
		size := 2
		length := uint64(f.head[1] & 0x7f)
		switch length {
		case 126:
			size += 2
		case 127:
			size += 8
		}
		if f.head[1]&0x80 != 0 {
			size += 4 // masked, which a server must not; its client's to complain about
		}
		if len(f.head) < size {
			continue
		}
		switch length {
		case 126:
			length = uint64(binary.BigEndian.Uint16(f.head[2:]))
		case 127:
			length = binary.BigEndian.Uint64(f.head[2:])
		}
		f.left, f.head = length, f.head[:0]
	}
}
