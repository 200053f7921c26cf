package keeper

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"

	"golang.org/x/sys/unix"

	"paas/socketpair"
)

// kind is the kind of a message.
type kind string

const (
	hello    kind = "hello"
	prepared kind = "prepared"
	start    kind = "go"
	serving  kind = "serving"
	handover kind = "handover"
	free     kind = "free"
	resume   kind = "resume"
	leave    kind = "leave"
	stop     kind = "stop"
	failed   kind = "failed"
)

// message is what is sent over a link.
type message struct {
	Kind     kind     `json:"kind"`
	Files    []string `json:"files,omitempty"`    // the names of the files that come with it
	Held     []string `json:"held,omitempty"`     // of prepared: all that the server wants to be held
	First    bool     `json:"first,omitempty"`    // of hello: the first server of this keeper
	Takeover bool     `json:"takeover,omitempty"` // of hello: another server serves
	Root     string   `json:"root,omitempty"`     // of hello
	Error    string   `json:"error,omitempty"`    // of failed

	files []*os.File
}

// add adds a file to be sent with the message.
func (m *message) add(name string, f *os.File) {
	m.Files, m.files = append(m.Files, name), append(m.files, f)
}

// close closes the files that came with the message.
func (m message) close() {
	for _, f := range m.files {
		f.Close()
	}
}

// control is one end of a connection between a keeper and a server.
type control struct {
	conn    *net.UnixConn
	sending sync.Mutex
	waiting []*os.File // received, and not taken by a message yet
}

const (
	maxMessage = 64 << 10
	maxFiles   = 128 // in a message; Linux allows 253
)

// connection returns the two ends of a new connection, the server's as a file. No other program
// inherits them.
func connection() (conn *net.UnixConn, there *os.File, err error) {
	here, there, err := socketpair.New()
	if err != nil {
		return nil, nil, err
	}
	if conn, err = connOf(here); err != nil {
		there.Close()
		return nil, nil, err
	}
	return conn, there, nil
}

// connOf makes a connection of a socket, and closes the file.
func connOf(f *os.File) (*net.UnixConn, error) {
	defer f.Close()
	conn, err := net.FileConn(f)
	if err != nil {
		return nil, err
	}
	c, ok := conn.(*net.UnixConn)
	if !ok {
		return nil, errors.Join(fmt.Errorf("%s is no socket of a keeper", f.Name()), conn.Close())
	}
	return c, nil
}

// send sends a message with its files, which stay open here. It is safe for concurrent use.
func (c *control) send(m message) error {
	text, err := json.Marshal(m)
	if err != nil {
		return err
	}
	var rights []byte
	if len(m.files) > 0 {
		fds := make([]int, len(m.files))
		for i, f := range m.files {
			raw, err := f.SyscallConn()
			if err != nil {
				return err
			}
			if err := raw.Control(func(fd uintptr) { fds[i] = int(fd) }); err != nil {
				return err
			}
		}
		rights = unix.UnixRights(fds...)
	}
	frame := append(binary.BigEndian.AppendUint32(nil, uint32(len(text))), text...)
	c.sending.Lock()
	defer c.sending.Unlock()
	n, _, err := c.conn.WriteMsgUnix(frame, rights, nil)
	if err == nil && n < len(frame) {
		_, err = c.conn.Write(frame[n:])
	}
	return err
}

// receive blocks until the next message has come. Only one goroutine may call it.
func (c *control) receive() (m message, err error) {
	var size [4]byte
	if err := c.read(size[:]); err != nil {
		return m, err
	}
	n := binary.BigEndian.Uint32(size[:])
	if n > maxMessage {
		return m, fmt.Errorf("a message of %d bytes", n)
	}
	text := make([]byte, n)
	if err := c.read(text); err != nil {
		return m, err
	}
	if err := json.Unmarshal(text, &m); err != nil {
		return m, err
	}
	if len(m.Files) > len(c.waiting) {
		return m, fmt.Errorf("%d files came instead of %d", len(c.waiting), len(m.Files))
	}
	m.files, c.waiting = c.waiting[:len(m.Files):len(m.Files)], c.waiting[len(m.Files):]
	return m, nil
}

// read fills p, and keeps the files that come with it.
func (c *control) read(p []byte) error {
	rights := make([]byte, unix.CmsgSpace(4*maxFiles))
	for len(p) > 0 {
		n, oobn, _, _, err := c.conn.ReadMsgUnix(p, rights)
		if oobn > 0 {
			if err := c.keep(rights[:oobn]); err != nil {
				return err
			}
		}
		if err != nil {
			return err
		}
		if n == 0 {
			return io.EOF
		}
		p = p[n:]
	}
	return nil
}

func (c *control) keep(rights []byte) error {
	messages, err := unix.ParseSocketControlMessage(rights)
	if err != nil {
		return err
	}
	for _, m := range messages {
		fds, err := unix.ParseUnixRights(&m)
		if err != nil {
			return err
		}
		for _, fd := range fds {
			c.waiting = append(c.waiting, os.NewFile(uintptr(fd), "held"))
		}
	}
	return nil
}

// close closes the connection and the files that nobody has taken. No receive may follow.
func (c *control) close() { c.conn.Close() }
