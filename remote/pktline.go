package remote

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
)

// packetReader reads pkt-lines (gitprotocol-common(5)) with the special packets of version 2. It
// reads at most left bytes in all and buffers one line of at most 64 KiB.
type packetReader struct {
	r    *bufio.Reader
	left int64
	line []byte
}

// packetKind is the kind of a pkt-line.
type packetKind int

const (
	data      packetKind = iota
	flush                // 0000: end of the message
	delimiter            // 0001: end of a section
	end                  // 0002: end of a stateless response
)

// maxPacket is the maximum length of a packet, including its four length digits (LARGE_PACKET_MAX
// in git's pkt-line.h).
const maxPacket = 65520

var (
	errProtocol = errors.New("the server does not speak git's protocol; check the URL")
	errCutOff   = errors.New("the connection broke in the middle of a response; try again")
)

func newPacketReader(r io.Reader, limit int64, onData func()) *packetReader {
	if onData != nil {
		r = notifyReader{r, onData}
	}
	return &packetReader{r: bufio.NewReader(r), left: limit}
}

// next reads a packet. line is valid until the next call. The error is [io.EOF] only at the start
// of a packet.
func (p *packetReader) next() (k packetKind, line []byte, err error) {
	var digits [4]byte
	var number [2]byte
	if _, err := io.ReadFull(p.r, digits[:]); err != nil {
		return 0, nil, err
	}
	_, err = hex.Decode(number[:], digits[:])
	length := int(binary.BigEndian.Uint16(number[:]))
	switch {
	case err != nil || length == 3 || length > maxPacket:
		return 0, nil, errProtocol
	case length < 3:
		return flush + packetKind(length), nil, nil
	}
	if p.left -= int64(length); p.left < 0 {
		return 0, nil, errorf(ErrTooLarge, "the server's list of references is too large; a "+
			"server with protocol version 2 sends only what is asked for")
	}
	p.line = slices.Grow(p.line[:0], length-4)[:length-4]
	if _, err := io.ReadFull(p.r, p.line); err != nil {
		return 0, nil, noEOF(err)
	}
	return data, p.line, nil
}

// text reads a packet of text and strips the line break. An error message of the server ("ERR why")
// is returned as an error.
func (p *packetReader) text() (packetKind, string, error) {
	k, line, err := p.next()
	if err != nil || k != data {
		return k, "", err
	}
	text := strings.TrimSuffix(string(line), "\n")
	if msg, ok := strings.CutPrefix(text, "ERR "); ok {
		return k, "", serverError(msg)
	}
	return k, text, nil
}

// noEOF turns io.EOF into io.ErrUnexpectedEOF.
func noEOF(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// request is a sequence of pkt-lines to send.
type request []byte

func (q *request) addLine(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	*q = fmt.Appendf(*q, "%04x%s\n", len(text)+5, text)
}

func (q *request) addDelimiter() { *q = append(*q, "0001"...) }
func (q *request) addFlush()     { *q = append(*q, "0000"...) }

// notifyReader calls onData whenever data arrives.
type notifyReader struct {
	io.Reader
	onData func()
}

func (p notifyReader) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	if n > 0 {
		p.onData()
	}
	return n, err
}

// sideBandReader reads a pack from side-band packets (side-band-64k in gitprotocol-pack(5)).
type sideBandReader struct {
	packets *packetReader
	rest    []byte
}

// Read implements [io.Reader]. It returns io.EOF at the flush packet.
func (b *sideBandReader) Read(into []byte) (int, error) {
	for len(b.rest) == 0 {
		k, line, err := b.packets.next()
		switch {
		case err != nil:
			return 0, noEOF(err)
		case k == flush:
			return 0, io.EOF
		case k != data || len(line) == 0:
			return 0, errProtocol
		case line[0] == 1:
			b.rest = line[1:]
		case line[0] == 3:
			return 0, serverError(string(line[1:]))
		case line[0] != 2: // 2 is progress messages
			return 0, errProtocol
		}
	}
	n := copy(into, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}
