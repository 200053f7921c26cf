package router

import (
	"bufio"
	"encoding/binary"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// tunnel is a connection that was upgraded to another protocol. It copies bytes both ways.
type tunnel struct {
	x         *exchange
	app       *appConn
	websocket bool

	mu        sync.Mutex   // guards writes to the client
	frames    frameTracker // position in the app's stream of frames
	closeSent bool         // nothing more from the app may be written

	// one side has closed: each Read and Write of the other gets HalfCloseTimeout
	halfClosed atomic.Bool
	cutting    atomic.Bool // each Write to the client gets closeTimeout
}

// closeTimeout is how long a close frame may take to be sent, and then to be answered.
const closeTimeout = time.Second

// serveTunnel copies bytes both ways until both sides have closed. It returns false at once unless
// the app has switched protocols. After one side has closed, the other is closed once it is silent
// for HalfCloseTimeout.
func (r *appResponse) serveTunnel() bool {
	if r.status != 101 {
		return false
	}
	x := r.x
	defer r.fail()
	x.stopWatching()
	x.startResponse(r.responseHead)
	if x.client.flush() != nil {
		return true
	}
	t := &tunnel{x: x, app: r.c, websocket: equalFold(r.upgrade, "websocket")}
	x.resp.closeAfter = true
	r.detach() // from now on the connection belongs to the tunnel
	r.c.SetDeadline(time.Time{})
	x.client.conn.SetDeadline(time.Time{})
	x.router.addStream(x, t.cut)
	defer x.router.dropStream(x)

	up := make(chan struct{})
	go func() {
		defer close(up)
		t.closeDirection(t.copy(t.writeToApp, x.client.br, x.client.conn), t.app)
	}()
	t.closeDirection(t.copy(t.writeToClient, t.app.br, t.app), x.client.conn)
	<-up
	t.mu.Lock()
	closeSent := t.closeSent
	t.mu.Unlock()
	if closeSent {
		// Closing with unread input would send a reset, which can overtake the close frame.
		x.client.conn.SetReadDeadline(time.Now().Add(closeTimeout))
		io.Copy(io.Discard, x.client.conn)
	}
	return true
}

// copy passes data from src to write until src ends.
func (t *tunnel) copy(write func([]byte) error, src *bufio.Reader, conn net.Conn) error {
	for {
		if t.halfClosed.Load() {
			conn.SetReadDeadline(time.Now().Add(t.x.router.HalfCloseTimeout))
		}
		if _, err := src.Peek(1); err == io.EOF {
			return nil
		} else if err != nil {
			return err
		}
		p, _ := src.Peek(src.Buffered())
		if err := write(p); err != nil {
			return err
		}
		src.Discard(len(p))
		if len(p) < src.Size() {
			continue // no large buffer for an idle tunnel
		}
		buf := t.x.router.buffers.Get()
		n, err := src.Read(buf)
		if n > 0 {
			if werr := write(buf[:n]); werr != nil {
				err = werr
			}
		}
		t.x.router.buffers.Put(buf)
		if err != nil && err != io.EOF {
			return err
		}
	}
}

func (t *tunnel) writeToApp(p []byte) error {
	t.app.SetWriteDeadline(time.Now().Add(t.x.router.StallTimeout))
	_, err := t.app.Conn.Write(p)
	return err
}

func (t *tunnel) writeToClient(p []byte) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.closeSent {
		return net.ErrClosed
	}
	t.x.client.conn.SetWriteDeadline(time.Now().Add(t.x.router.StallTimeout))
	if t.cutting.Load() { // check last, or cut could wait for this Write
		t.x.client.conn.SetWriteDeadline(time.Now().Add(closeTimeout))
	}
	n, err := t.x.client.conn.Write(p)
	if t.websocket {
		t.frames.advance(p[:n])
	}
	return err
}

// closeDirection passes the close of the other side on to dst, or closes both sides after an error.
func (t *tunnel) closeDirection(err error, dst net.Conn) {
	if err == nil {
		t.halfClosed.Store(true)
		closeWrite(dst)
		dst.SetReadDeadline(time.Now().Add(t.x.router.HalfCloseTimeout))
		return
	}
	t.app.Close()
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.closeSent {
		t.x.client.conn.Close()
	}
}

// goingAway is an unmasked close frame with status 1001 (RFC 6455 sections 5.5.1 and 7.4.1).
var goingAway = []byte{0x88, 2, 1001 >> 8, 1001 & 0xff}

// cut ends the tunnel. A websocket client gets a close frame first, if the app's last frame is
// complete.
func (t *tunnel) cut() {
	client := t.x.client.conn
	t.cutting.Store(true)
	client.SetWriteDeadline(time.Now().Add(closeTimeout)) // applies to a blocked Write as well
	t.mu.Lock()
	if !t.closeSent {
		t.closeSent = true
		if t.websocket && t.frames.atBoundary() {
			client.Write(goingAway)
		}
		closeWrite(client)
		client.SetReadDeadline(time.Now().Add(closeTimeout))
	}
	t.mu.Unlock()
	t.app.Close()
}

// closeWrite closes c for writing, so that the other side can still send.
func closeWrite(c net.Conn) {
	if app, ok := c.(*appConn); ok {
		c = app.Conn
	}
	if w, ok := unwrap(c).(interface{ CloseWrite() error }); ok {
		w.CloseWrite()
	}
}

// unwrap returns the connection below one that began with the PROXY protocol.
func unwrap(c net.Conn) net.Conn {
	if behind, ok := c.(interface{ Raw() net.Conn }); ok {
		return behind.Raw()
	}
	return c
}

// frameTracker follows the boundaries of a server's websocket frames (RFC 6455 section 5.2).
type frameTracker struct {
	header      []byte // the incomplete header of a frame
	payloadLeft uint64 // bytes of payload left
}

// atBoundary reports whether the last frame is complete.
func (f *frameTracker) atBoundary() bool { return f.payloadLeft == 0 && len(f.header) == 0 }

func (f *frameTracker) advance(p []byte) {
	for len(p) > 0 {
		if f.payloadLeft > 0 {
			n := min(f.payloadLeft, uint64(len(p)))
			f.payloadLeft -= n
			p = p[n:]
			continue
		}
		f.header = append(f.header, p[0])
		p = p[1:]
		if len(f.header) < 2 {
			continue
		}
		size := 2
		length := uint64(f.header[1] & 0x7f)
		switch length {
		case 126:
			size += 2
		case 127:
			size += 8
		}
		if f.header[1]&0x80 != 0 {
			size += 4 // masked; a server must not, but that is for the client to reject
		}
		if len(f.header) < size {
			continue
		}
		switch length {
		case 126:
			length = uint64(binary.BigEndian.Uint16(f.header[2:]))
		case 127:
			length = binary.BigEndian.Uint64(f.header[2:])
		}
		f.payloadLeft, f.header = length, f.header[:0]
	}
}
