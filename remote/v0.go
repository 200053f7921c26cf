package remote

import (
	"math"
	"strings"
)

// Version 0 (gitprotocol-pack(5)) is spoken by servers older than git 2.18, or by configuration.
// The server first lists every reference and then reads what the client wants.

// handshakeV0 parses the first line: "commit name NUL capabilities".
func (s *session) handshakeV0(line string) error {
	s.version, s.firstLine = 0, line
	if line == "" {
		s.answered = true
		return nil
	}
	ref, list, ok := strings.Cut(line, "\x00")
	commit, name, _ := strings.Cut(ref, " ")
	if !ok || !isCommit(commit) || name == "" {
		return errProtocol
	}
	for word := range strings.FieldsSeq(list) {
		if format, ok := strings.CutPrefix(word, "object-format="); ok && format != "sha1" {
			return unsupportedFormat(format)
		}
	}
	s.shallow = containsWord(list, "shallow")
	s.sideBand = containsWord(list, "side-band-64k")
	s.ofsDelta = containsWord(list, "ofs-delta")
	s.multiAck = containsWord(list, "multi_ack_detailed")
	s.answered = true
	return nil
}

// refsV0 reads the whole list of references: see [session.refs]. This must be done before a fetch,
// too.
func (s *session) refsV0(add func(commit, name string)) (target string, err error) {
	ref, list, _ := strings.Cut(s.firstLine, "\x00")
	for word := range strings.FieldsSeq(list) {
		if to, ok := strings.CutPrefix(word, "symref=HEAD:"); ok {
			target = to
		}
	}
	for line := ref; line != ""; {
		commit, name, _ := strings.Cut(line, " ")
		switch {
		case commit == "shallow": // the server's own repository is shallow
		case !isCommit(commit) || name == "":
			return "", errProtocol
		default:
			add(commit, name)
		}
		k, next, err := s.read()
		if err != nil {
			return "", err
		}
		if k != data && k != flush {
			return "", errProtocol
		}
		line = next
	}
	return target, nil
}

// fetchV0 requests a commit completely. It does not negotiate what we have already: servers this
// old are rare.
func (s *session) fetchV0(commit string) (*fetchResponse, error) {
	var q request
	words := []string{"want", commit, "no-progress", "agent=" + agent}
	for word, offered := range map[string]bool{"side-band-64k": s.sideBand, "ofs-delta": s.ofsDelta,
		"multi_ack_detailed": s.multiAck} {
		if offered {
			words = append(words, word)
		}
	}
	q.addLine("%s", strings.Join(words, " "))
	if s.shallow {
		q.addLine("deepen 1")
	}
	q.addFlush()
	q.addLine("done")
	if err := s.send(q); err != nil {
		return nil, err
	}
	p := new(fetchResponse)
	if s.shallow {
		if err := p.readShallow(s, flush); err != nil {
			return nil, err
		}
	}
	if _, line, err := s.read(); err != nil {
		return nil, err
	} else if line != "NAK" {
		return nil, errProtocol
	}
	s.in.left = math.MaxInt64 // the reader of the pack limits it
	p.Reader = s.in.r
	if s.sideBand {
		p.Reader = &sideBandReader{packets: s.in}
	}
	return p, nil
}
