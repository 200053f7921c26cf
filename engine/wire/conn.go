package wire

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"encoding/gob"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	maxFrame  = 16 << 20 // bytes
	maxFiles  = 3        // descriptors with one frame
	keptFrame = 64 << 10 // buffers that are larger are not kept
)

// conn is a connected unix socket that carries values of one type, with descriptors. A frame is the
// length of its content in four bytes, the number of its descriptors in one, and the content. Its
// first value must not be too large: a value that is is refused, and later ones would need what gob
// tells about their type with the first.
type conn struct {
	socket *net.UnixConn
	takes  bool // it accepts descriptors

	sending sync.Mutex
	out     bytes.Buffer
	encoder *gob.Encoder

	in      *bufio.Reader
	content bytes.Buffer
	decoder *gob.Decoder
	control []byte
	files   []*os.File // received, of frames that are not read yet
}

func newConn(socket *net.UnixConn, takes bool) *conn {
	c := &conn{socket: socket, takes: takes, control: make([]byte, unix.CmsgSpace(4*maxFiles))}
	c.in = bufio.NewReader(readerFunc(c.receive))
	c.encoder, c.decoder = gob.NewEncoder(&c.out), gob.NewDecoder(&c.content)
	return c
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

var errTooLarge = fmt.Errorf("too large: at most %d MiB", maxFrame>>20)

// send sends a value with copies of descriptors. It blocks while the other end does not read. An
// error that is not about the value ends the connection.
func (c *conn) send(value any, files ...syscall.Conn) error {
	c.sending.Lock()
	defer c.sending.Unlock()
	defer func() {
		if c.out.Cap() > keptFrame {
			c.out = bytes.Buffer{}
		}
	}()
	c.out.Reset()
	c.out.Write([]byte{0, 0, 0, 0, byte(len(files))})
	if err := c.encoder.Encode(value); err != nil {
		c.socket.Close()
		return err
	}
	frame := c.out.Bytes()
	if len(frame) > maxFrame {
		return errTooLarge
	}
	binary.BigEndian.PutUint32(frame, uint32(len(frame)-5))
	err := withDescriptors(files, nil, func(rights []byte) error {
		n, _, err := c.socket.WriteMsgUnix(frame, rights, nil)
		if n > 0 && err == nil {
			_, err = c.socket.Write(frame[n:])
		}
		return err
	})
	if err != nil {
		c.socket.Close()
	}
	return err
}

// withDescriptors calls f with the control message that sends the files.
func withDescriptors(files []syscall.Conn, fds []int, f func(rights []byte) error) error {
	if len(files) == 0 {
		if len(fds) == 0 {
			return f(nil)
		}
		return f(unix.UnixRights(fds...))
	}
	raw, err := files[0].SyscallConn()
	if err != nil {
		return err
	}
	var sent error
	err = raw.Control(func(fd uintptr) {
		sent = withDescriptors(files[1:], append(fds, int(fd)), f)
	})
	return errors.Join(err, sent)
}

// receive reads from the socket, and keeps the descriptors that come with what it reads.
func (c *conn) receive(p []byte) (int, error) {
	n, controls, flags, _, err := c.socket.ReadMsgUnix(p, c.control)
	if controls > 0 {
		messages, parseErr := unix.ParseSocketControlMessage(c.control[:controls])
		err = errors.Join(err, parseErr)
		for _, m := range messages {
			fds, _ := unix.ParseUnixRights(&m)
			for _, fd := range fds {
				unix.SetNonblock(fd, true) // for Go's poller
				c.files = append(c.files, os.NewFile(uintptr(fd), "received"))
			}
		}
	}
	switch {
	case err != nil:
		return 0, err
	case flags&unix.MSG_CTRUNC != 0 || len(c.files) > maxFiles*16 || len(c.files) > 0 && !c.takes:
		return 0, errors.New("unexpected descriptors")
	}
	return n, nil
}

// read reads the next value into the pointer. The caller must close the files. The error is io.EOF
// if the connection ends between two frames.
func (c *conn) read(value any) (files []*os.File, err error) {
	var head [5]byte
	if _, err := io.ReadFull(c.in, head[:]); err != nil {
		return nil, err
	}
	size, count := int64(binary.BigEndian.Uint32(head[:])), int(head[4])
	if size > maxFrame || count > maxFiles {
		return nil, fmt.Errorf("frame of %d bytes with %d descriptors", size, count)
	}
	if c.content.Cap() > keptFrame { // it is empty; the decoder keeps its address
		c.content = bytes.Buffer{}
	}
	if _, err := io.CopyN(&c.content, c.in, size); err != nil {
		return nil, io.ErrUnexpectedEOF
	}
	if count > len(c.files) {
		return nil, errors.New("descriptors are missing")
	}
	files, c.files = c.files[:count:count], c.files[count:]
	err = c.decoder.Decode(value)
	switch {
	case errors.Is(err, io.EOF):
		err = io.ErrUnexpectedEOF
	case err == nil && c.content.Len() > 0:
		err = errors.New("frame with more than one value")
	}
	if err != nil {
		closeAll(files)
		return nil, err
	}
	return files, nil
}

// close closes the socket. Only the reader may call it.
func (c *conn) close() {
	c.socket.Close()
	closeAll(c.files)
	c.files = nil
}

func closeAll(files []*os.File) {
	for _, f := range files {
		f.Close()
	}
}
