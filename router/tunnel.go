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

// tunnel is a client and an app after they have agreed on another protocol: bytes both ways.
type tunnel struct {
	x         *exchange
	app       *conn
	websocket bool

	mu     sync.Mutex // one writer to the client at a time
	frames frames     // where in the app's stream of frames we are
	going  bool       // nothing of the app's follows

	ending  atomic.Bool // one side has closed; the other has HalfCloseTimeout for each Read and Write
	cutting atomic.Bool // a Write to the client may take no longer than farewell
}

// farewell is how long a close frame may take to be sent, and then to be answered.
const farewell = time.Second

// tunnel passes bytes both ways until both sides have ended, if the app has agreed to switch
// protocols; else it reports false. A side that goes on after the other has closed, but has nothing
// to say, is closed: what closed may not be there any more.
func (a *answer) tunnel() bool {
	if a.status != 101 {
		return false
	}
	x := a.x
	defer a.fail()
	x.unwatch()
	x.begin(a.appResponse)
	if x.s.flush() != nil {
		return true
	}
	t := &tunnel{x: x, app: a.c, websocket: same(a.upgrade, "websocket")}
	x.reply.last = true
	a.release() // it reads for the tunnel now
	a.c.SetDeadline(time.Time{})
	x.s.conn.SetDeadline(time.Time{})
	x.router.addStream(x, t.cut)
	defer x.router.dropStream(x)

	up := make(chan struct{})
	go func() {
		defer close(up)
		t.ended(t.copy(t.toApp, x.s.br, x.s.conn), t.app)
	}()
	t.ended(t.copy(t.toClient, t.app.br, t.app), x.s.conn)
	<-up
	t.mu.Lock()
	going := t.going
	t.mu.Unlock()
	if going {
		// Closing on bytes not yet read would send a reset, which may overtake the close frame.
		x.s.conn.SetReadDeadline(time.Now().Add(farewell))
		io.Copy(io.Discard, x.s.conn)
	}
	return true
}

// copy has write send on what comes from src, until it ends.
func (t *tunnel) copy(write func([]byte) error, src *bufio.Reader, conn net.Conn) error {
	for {
		if t.ending.Load() {
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
			continue // an idle tunnel holds no large buffer
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

func (t *tunnel) toApp(p []byte) error {
	t.app.SetWriteDeadline(time.Now().Add(t.x.router.StallTimeout))
	_, err := t.app.Conn.Write(p)
	return err
}

func (t *tunnel) toClient(p []byte) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.going {
		return net.ErrClosed
	}
	t.x.s.conn.SetWriteDeadline(time.Now().Add(t.x.router.StallTimeout))
	if t.cutting.Load() { // looked at last, or cut might wait for this Write
		t.x.s.conn.SetWriteDeadline(time.Now().Add(farewell))
	}
	n, err := t.x.s.conn.Write(p)
	if t.websocket {
		t.frames.advance(p[:n])
	}
	return err
}

// ended passes on to dst that the other side has closed, or ends the tunnel where it broke.
func (t *tunnel) ended(err error, dst net.Conn) {
	if err == nil {
		t.ending.Store(true)
		closeWrite(dst)
		dst.SetReadDeadline(time.Now().Add(t.x.router.HalfCloseTimeout))
		return
	}
	t.app.Close()
	t.mu.Lock()
	defer t.mu.Unlock()
	if !t.going {
		t.x.s.conn.Close()
	}
}

// goingAway is a server's close frame with status 1001 (RFC 6455 sections 5.5.1 and 7.4.1).
var goingAway = []byte{0x88, 2, 1001 >> 8, 1001 & 0xff}

// cut tells a websocket's client that we are going away, where a frame can be put between the
// app's, and ends the tunnel in any case.
func (t *tunnel) cut() {
	client := t.x.s.conn
	t.cutting.Store(true)
	client.SetWriteDeadline(time.Now().Add(farewell)) // also for the Write that may be stuck
	t.mu.Lock()
	if !t.going {
		t.going = true
		if t.websocket && t.frames.between() {
			client.Write(goingAway)
		}
		closeWrite(client)
		client.SetReadDeadline(time.Now().Add(farewell))
	}
	t.mu.Unlock()
	t.app.Close()
}

// closeWrite says that nothing follows, in a way that lets the other side go on.
func closeWrite(c net.Conn) {
	if w, ok := c.(interface{ CloseWrite() error }); ok {
		w.CloseWrite()
	}
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
