package remote

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"
)

// packets reads pkt-lines (gitprotocol-common(5)), those of version 2 among them: go-git's scanner
// refuses the delimiter, 0001. It reads at most left bytes and holds one line, of at most 64 KiB.
type packets struct {
	r    *bufio.Reader
	left int64
	line []byte
}

// What a packet is.
type kind int

const (
	data      kind = iota
	flush          // 0000: the message is over
	delimiter      // 0001: a section of it is
	end            // 0002: of stateless connections; not said where we speak
)

// maxPacket is the length of the longest packet there is, its own four digits included, as git
// accepts it (LARGE_PACKET_MAX in git's pkt-line.h).
const maxPacket = 65520

var (
	errGarbled = errors.New("what answers does not speak git's protocol; check the URL")
	errCut     = errors.New("the connection was cut in the middle of an answer; try again")
)

func newPackets(r io.Reader, limit int64, heard func()) *packets {
	if heard != nil {
		r = pulse{r, heard}
	}
	return &packets{r: bufio.NewReader(r), left: limit}
}

// next reads a packet. line is valid until the next call. The error is [io.EOF] only where a
// packet would begin, and the server's own words where it sends an error in place of an answer.
func (p *packets) next() (k kind, line []byte, err error) {
	var digits [4]byte
	if _, err := io.ReadFull(p.r, digits[:]); err != nil {
		return 0, nil, err
	}
	length, ok := hex(digits)
	switch {
	case !ok || length == 3 || length > maxPacket:
		return 0, nil, errGarbled
	case length < 3:
		return flush + kind(length), nil, nil
	}
	if p.left -= int64(length); p.left < 0 {
		return 0, nil, faultf(ErrTooLarge, "the server's answer is larger than is read; a server with protocol version 2 sends only what is asked for")
	}
	if n := length - 4; n <= cap(p.line) {
		p.line = p.line[:n]
	} else {
		p.line = make([]byte, n)
	}
	if _, err := io.ReadFull(p.r, p.line); err != nil {
		return 0, nil, brokenOff(err)
	}
	return data, p.line, nil
}

// text reads a packet of text, without the line break at its end; an error that the server sends
// in its place ("ERR why") is returned as one.
func (p *packets) text() (kind, string, error) {
	k, line, err := p.next()
	if err != nil || k != data {
		return k, "", err
	}
	text := strings.TrimSuffix(string(line), "\n")
	if said, ok := strings.CutPrefix(text, "ERR "); ok {
		return k, "", refusal(said)
	}
	return k, text, nil
}

// brokenOff is the error where more was announced than came.
func brokenOff(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func hex(digits [4]byte) (n int, ok bool) {
	for _, d := range digits {
		switch {
		case '0' <= d && d <= '9':
			d -= '0'
		case 'a' <= d && d <= 'f':
			d -= 'a' - 10
		case 'A' <= d && d <= 'F':
			d -= 'A' - 10
		default:
			return 0, false
		}
		n = n<<4 | int(d)
	}
	return n, true
}

// request builds what is sent, packet by packet.
type request []byte

func (q *request) line(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	*q = fmt.Appendf(*q, "%04x%s\n", len(text)+5, text)
}

func (q *request) delimiter() { *q = append(*q, "0001"...) }
func (q *request) flush()     { *q = append(*q, "0000"...) }

// pulse says when something was heard.
type pulse struct {
	io.Reader
	heard func()
}

func (p pulse) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	if n > 0 {
		p.heard()
	}
	return n, err
}

// band reads the pack out of the packets that carry it (side-band-64k in gitprotocol-pack(5)).
type band struct {
	packets *packets
	rest    []byte
}

// Read implements [io.Reader]. It ends where the server says that all was sent.
func (b *band) Read(into []byte) (int, error) {
	for len(b.rest) == 0 {
		k, line, err := b.packets.next()
		switch {
		case err != nil:
			return 0, brokenOff(err)
		case k == flush:
			return 0, io.EOF
		case k != data || len(line) == 0:
			return 0, errGarbled
		case line[0] == 1:
			b.rest = line[1:]
		case line[0] == 3:
			return 0, refusal(string(line[1:]))
		case line[0] != 2: // 2 is progress, for people
			return 0, errGarbled
		}
	}
	n := copy(into, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}
