package remote

import (
	"errors"
	"io"
	"math"
	"slices"
	"strings"
)

// session is a conversation with git-upload-pack over any transport.
type session struct {
	capabilities
	in      *packetReader                // what the server sends
	send    func(question request) error // the response is then read from in
	close   func()                       // kept connections stay open
	discard func()                       // drops what is kept for the next session
	// why the server hung up, if it said so on another channel; may be nil
	hangupReason func() error
	// uses a kept connection or earlier knowledge of the server
	reused   bool
	answered bool // the server has answered in this session
}

// capabilities are what a server supports.
type capabilities struct {
	version      int    // 0 or 2
	unborn       bool   // version 2: ls-refs can report a HEAD whose branch has no commit yet
	shallow      bool   // can send a commit without its history
	firstLine    string // version 0: the first line of the list of references
	sideBand     bool   // version 0: side-band-64k
	ofsDelta     bool   // version 0: ofs-delta
	multiAck     bool   // version 0: multi_ack_detailed
	objectFormat bool   // version 2: expects object-format in requests
}

// agent is our name. Some servers treat a client that does not begin with git/ as a browser.
const agent = "git/2.40-paas"

// handshake reads the server's first message (gitprotocol-v2(5), "Capability Advertisement"; for
// version 0 gitprotocol-pack(5), "Reference Discovery").
func (s *session) handshake() error {
	k, line, err := s.read()
	if err != nil {
		return err
	}
	// over HTTP: before version 0, and before 2 on some servers
	if strings.HasPrefix(line, "# service=") {
		if k, _, err = s.read(); err == nil && k == flush {
			k, line, err = s.read()
		}
		if err != nil {
			return err
		}
	}
	if line == "version 1" { // the rest is version 0
		if k, line, err = s.read(); err != nil {
			return err
		}
	}
	if line != "version 2" {
		// Old servers announce an empty repository with only a flush packet.
		if k != flush && (k != data || line == "") {
			return errProtocol
		}
		return s.handshakeV0(line)
	}
	s.version = 2
	object := "sha1"
	listed := false
	for {
		k, line, err := s.read()
		switch {
		case err != nil:
			return err
		case k == flush && object != "sha1":
			return unsupportedFormat(object)
		case k == flush && !listed:
			return errProtocol
		case k == flush:
			s.answered = true
			return nil
		case k != data:
			return errProtocol
		}
		name, value, _ := strings.Cut(line, "=")
		switch name {
		case "ls-refs":
			listed = true
			s.unborn = containsWord(value, "unborn")
		case "fetch":
			s.shallow = containsWord(value, "shallow")
		case "object-format":
			object, s.objectFormat = value, true
		}
	}
}

func unsupportedFormat(format string) error {
	return errorf(ErrNotFound, "the repository uses the object format %s; only sha1 is supported",
		printable(format))
}

func containsWord(words, word string) bool { return slices.Contains(strings.Fields(words), word) }

// read reads a packet of text. The end of the connection is an error.
func (s *session) read() (packetKind, string, error) {
	k, line, err := s.in.text()
	if err != nil {
		err = s.withReason(noEOF(err))
	}
	return k, line, err
}

// withReason replaces an unexpected end of the connection by the server's reason, if it gave one.
func (s *session) withReason(err error) error {
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	if s.hangupReason != nil {
		if why := s.hangupReason(); why != nil {
			return why
		}
	}
	return errCutOff
}

// command begins a version 2 request.
func (s *session) command(name string) (q request) {
	q.addLine("command=%s", name)
	q.addLine("agent=%s", agent)
	if s.objectFormat {
		q.addLine("object-format=sha1")
	}
	q.addDelimiter()
	return q
}

// fetchRequest asks for one commit.
type fetchRequest struct {
	commit  string
	have    string   // a commit whose files are in the store; may be empty
	shallow []string // commits that are in the store without their history
}

// fetchResponse is the pack with the commit.
type fetchResponse struct {
	io.Reader
	shallow, unshallow []string // commits that no longer have, or now have, their history
}

// fetch requests a commit, without its history if the server supports that.
func (s *session) fetch(w fetchRequest) (*fetchResponse, error) {
	if s.version == 0 {
		return s.fetchV0(w.commit)
	}
	q := s.command("fetch")
	q.addLine("no-progress")
	q.addLine("ofs-delta")
	if s.shallow {
		for _, commit := range w.shallow {
			q.addLine("shallow %s", commit)
		}
		q.addLine("deepen 1")
	}
	q.addLine("want %s", w.commit)
	if w.have != "" {
		// Without thin-pack, git sends files that we have if their history is cut off
		// (--objects-edge-aggressive in git's builtin/pack-objects.c).
		q.addLine("thin-pack")
		q.addLine("have %s", w.have)
	}
	q.addLine("done")
	q.addFlush()
	if err := s.send(q); err != nil {
		return nil, err
	}
	p := new(fetchResponse)
	for {
		k, section, err := s.read()
		switch {
		case err != nil:
			return nil, err
		case k != data:
			return nil, errProtocol
		case section == "packfile":
			s.in.left = math.MaxInt64 // the reader of the pack limits it
			p.Reader = &sideBandReader{packets: s.in}
			return p, nil
		}
		if err := p.readShallow(s, delimiter); err != nil {
			return nil, err
		}
	}
}

// readShallow reads the lines before a pack and ignores those that are not about shallow commits.
func (p *fetchResponse) readShallow(s *session, until packetKind) error {
	for {
		k, line, err := s.read()
		if err != nil {
			return err
		}
		if k == until {
			return nil
		}
		if k != data {
			return errProtocol
		}
		verb, commit, _ := strings.Cut(line, " ")
		switch {
		case verb == "shallow" && isCommit(commit):
			p.shallow = append(p.shallow, commit)
		case verb == "unshallow" && isCommit(commit):
			p.unshallow = append(p.unshallow, commit)
		}
	}
}

// isCommit reports whether s is a SHA-1 in hexadecimal. It must hold before s is used in a request
// or a file.
func isCommit(s string) bool {
	return len(s) == 40 && strings.Trim(s, "0123456789abcdef") == ""
}
