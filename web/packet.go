package web

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"strconv"
	"sync"
)

// git's protocol consists of packets: four hexadecimal digits with the length, themselves included,
// then the content (gitprotocol-common(5)).
const (
	flushPacket = "0000"
	sizeDigits  = 4
	maxPacket   = 65520 // bytes of the largest one
)

func packet(content string) string {
	return fmt.Sprintf("%04x%s", sizeDigits+len(content), content)
}

// packetSize returns the length of a packet from its first four bytes, those included; 0 for a
// flush packet.
func packetSize(digits []byte) (int, error) {
	size, err := strconv.ParseUint(string(digits), 16, 16)
	if err != nil || size > 0 && size < sizeDigits {
		return 0, fmt.Errorf("git: not a packet: %q", digits)
	}
	return int(size), nil
}

// firstCommand returns the first command of a push, with the client's capabilities (gitprotocol-
// pack(5), "Reference Update Request"). It reads nothing from body, whose buffer must have
// maxPacket bytes. Without a command, as when git only tests the connection before a large push,
// it is empty. The error is [bufio.ErrBufferFull] if the command is not in the buffer.
func firstCommand(body *bufio.Reader) ([]byte, error) {
	for at := 0; ; {
		digits, err := body.Peek(at + sizeDigits)
		if err != nil {
			return nil, err
		}
		size, err := packetSize(digits[at:])
		if size == 0 {
			return nil, err
		}
		all, err := body.Peek(at + size)
		if err != nil {
			return nil, err
		}
		if line := all[at+sizeDigits:]; !bytes.HasPrefix(line, []byte("shallow ")) {
			return line, nil
		}
		at += size
	}
}

// The bands of a response (gitprotocol-pack(5), "Packfile Data"): the first byte of each packet.
const (
	band     = 2   // text for the person at the client
	maxOfOne = 900 // bytes of text in a packet; old clients accept 995
)

// sideband is a response in bands: git's, with the server's own messages between its packets. Write
// is for git's output, and messages for the server's. Finish it in the end.
type sideband struct {
	to io.Writer

	mu    sync.Mutex
	size  []byte // the digits of git's next packet, as far as they are known
	left  int    // bytes of git's current packet that are still to come
	ended bool   // git has sent its last packet; finish passes it on
	said  []byte // messages that wait for the end of git's current packet
}

// Write passes on git's output, except the packet that ends it.
func (s *sideband) Write(p []byte) (n int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n = len(p)
	var out []byte
	for len(p) > 0 {
		if s.left > 0 {
			now := min(s.left, len(p))
			out = append(out, p[:now]...)
			p = p[now:]
			s.left -= now
			continue
		}
		now := min(sizeDigits-len(s.size), len(p))
		s.size = append(s.size, p[:now]...)
		if p = p[now:]; len(s.size) < sizeDigits {
			break
		}
		size, err := packetSize(s.size)
		if err != nil {
			return 0, err
		}
		if s.ended { // there is more after all
			out = append(out, flushPacket...)
		}
		if s.ended = size == 0; !s.ended {
			out = append(out, s.size...)
			s.left = size - sizeDigits
		}
		s.size = s.size[:0]
	}
	return n, s.send(out)
}

// send sends git's output, and messages if it is between two packets.
func (s *sideband) send(out []byte) error {
	for s.left == 0 && len(s.size) == 0 && len(s.said) > 0 {
		now := min(maxOfOne, len(s.said))
		out = append(out, packet(string(rune(band))+string(s.said[:now]))...)
		s.said = s.said[now:]
	}
	if len(out) == 0 {
		return nil
	}
	_, err := s.to.Write(out)
	return err
}

// messages returns the writer of the server's messages.
func (s *sideband) messages() io.Writer { return writerFunc(s.say) }

func (s *sideband) say(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.said = append(s.said, p...)
	return len(p), s.send(nil)
}

// finish sends what is left once git has ended. If git was killed within a packet, nothing can
// follow that.
func (s *sideband) finish() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.send(nil); err != nil || !s.ended {
		return err
	}
	_, err := io.WriteString(s.to, flushPacket)
	return err
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }
