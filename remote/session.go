package remote

import (
	"errors"
	"io"
	"math"
	"strings"
)

// session is a conversation with one git-upload-pack, whatever carries it.
type session struct {
	capabilities
	in       *packets                     // what the server says
	send     func(question request) error // asks; the answer is read from in
	end      func()                       // hangs up; what is kept stays open
	forget   func()                       // drops what is kept
	explain  func() error                 // why the server hung up, where it said so elsewhere; may be nil
	kept     bool                         // on a connection, or with a knowledge of the server, from before
	answered bool                         // the server has answered on it
}

// capabilities are what a server says of itself.
type capabilities struct {
	version int    // 0 or 2
	unborn  bool   // version 2: names the branch that HEAD points at where it has no commit yet
	shallow bool   // sends a commit without its history
	first   string // version 0: the first line of the list of references, which the rest follows
	side    bool   // version 0: wraps the pack in packets (side-band-64k)
	ofs     bool   // version 0: may send deltas that name their base by its place
	acks    bool   // version 0: multi_ack_detailed
	format  bool   // version 2: wants to be told the object format
}

// agent is how we name ourselves. Some servers treat what does not begin with git/ as a browser.
const agent = "git/2.40-paas"

// greet reads how the server begins (gitprotocol-v2(5), "Capability Advertisement"; for version 0
// gitprotocol-pack(5), "Reference Discovery").
func (s *session) greet() error {
	k, line, err := s.read()
	if err != nil {
		return err
	}
	if strings.HasPrefix(line, "# service=") { // over HTTP, before version 0 and some servers' 2
		if k, _, err = s.read(); err == nil && k == flush {
			k, line, err = s.read()
		}
		if err != nil {
			return err
		}
	}
	if line == "version 1" { // is version 0 with this line before it
		if k, line, err = s.read(); err != nil {
			return err
		}
	}
	if line != "version 2" {
		// A flush alone is a repository without references, as old servers say it.
		if k != flush && (k != data || line == "") {
			return errGarbled
		}
		return s.greet0(line)
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
			return foreign(object)
		case k == flush && !listed:
			return errGarbled
		case k == flush:
			s.answered = true
			return nil
		case k != data:
			return errGarbled
		}
		name, value, _ := strings.Cut(line, "=")
		switch name {
		case "ls-refs":
			listed = true
			s.unborn = hasWord(value, "unborn")
		case "fetch":
			s.shallow = hasWord(value, "shallow")
		case "object-format":
			object, s.format = value, true
		}
	}
}

func foreign(format string) error {
	return faultf(ErrNotFound, "the repository keeps its objects as %s, which is not spoken here; follow one that keeps them as sha1", clean(format))
}

func hasWord(words, word string) bool {
	for w := range strings.FieldsSeq(words) {
		if w == word {
			return true
		}
	}
	return false
}

// read reads a packet of text; that the server hung up is an error here.
func (s *session) read() (kind, string, error) {
	k, line, err := s.in.text()
	if err != nil {
		err = s.explained(brokenOff(err))
	}
	return k, line, err
}

// explained is err in our words, or in the server's where it hung up and said why.
func (s *session) explained(err error) error {
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		return err
	}
	if s.explain != nil {
		if why := s.explain(); why != nil {
			return why
		}
	}
	return errCut
}

// command begins a request of version 2.
func (s *session) command(name string) (q request) {
	q.line("command=%s", name)
	q.line("agent=%s", agent)
	if s.format {
		q.line("object-format=sha1")
	}
	q.delimiter()
	return q
}

// want is a commit to fetch and what need not be sent with it.
type want struct {
	commit  string
	have    string   // a commit whose files are here; empty: none
	shallow []string // commits that are here without their history
}

// pack is a commit on its way.
type pack struct {
	io.Reader
	shallow, unshallow []string // commits that are now without their history, or with it
}

// fetch asks for a commit, without its history where the server can leave it out.
func (s *session) fetch(w want) (*pack, error) {
	if s.version == 0 {
		return s.fetch0(w.commit)
	}
	q := s.command("fetch")
	q.line("no-progress")
	q.line("ofs-delta")
	if s.shallow {
		for _, commit := range w.shallow {
			q.line("shallow %s", commit)
		}
		q.line("deepen 1")
	}
	q.line("want %s", w.commit)
	if w.have != "" {
		// Without thin-pack git leaves out nothing that we have where history is cut off
		// (--objects-edge-aggressive in git's builtin/pack-objects.c).
		q.line("thin-pack")
		q.line("have %s", w.have)
	}
	q.line("done")
	q.flush()
	if err := s.send(q); err != nil {
		return nil, err
	}
	p := new(pack)
	for {
		k, section, err := s.read()
		switch {
		case err != nil:
			return nil, err
		case k != data:
			return nil, errGarbled
		case section == "packfile":
			s.in.left = math.MaxInt64 // who reads the pack limits it
			p.Reader = &band{packets: s.in}
			return p, nil
		}
		if err := p.section(s, delimiter); err != nil {
			return nil, err
		}
	}
}

// section reads the lines before a pack; those that are not about history are of no interest.
func (p *pack) section(s *session, until kind) error {
	for {
		k, line, err := s.read()
		if err != nil {
			return err
		}
		if k == until {
			return nil
		}
		if k != data {
			return errGarbled
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

// isCommit says whether s is an object's name: it becomes a part of a request and of a file.
func isCommit(s string) bool {
	return len(s) == 40 && strings.Trim(s, "0123456789abcdef") == ""
}
