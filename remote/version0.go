package remote

import (
	"math"
	"strings"
)

// Version 0 (gitprotocol-pack(5)) is what servers before git 2.18, and those told to, speak: the
// server begins by listing every reference, and hears what is wanted of them after that.

// greet0 takes the first line apart: "commit name NUL capabilities".
func (s *session) greet0(line string) error {
	s.version, s.first = 0, line
	if line == "" {
		s.answered = true
		return nil
	}
	ref, list, ok := strings.Cut(line, "\x00")
	commit, name, _ := strings.Cut(ref, " ")
	if !ok || !isCommit(commit) || name == "" {
		return errGarbled
	}
	for word := range strings.FieldsSeq(list) {
		if format, ok := strings.CutPrefix(word, "object-format="); ok && format != "sha1" {
			return foreign(format)
		}
	}
	s.shallow = hasWord(list, "shallow")
	s.side = hasWord(list, "side-band-64k")
	s.ofs = hasWord(list, "ofs-delta")
	s.acks = hasWord(list, "multi_ack_detailed")
	s.answered = true
	return nil
}

// look0 reads the list to its end, which also is what has to be done before a fetch.
func (s *session) look0(branch string) (Head, error) {
	ref, list, _ := strings.Cut(s.first, "\x00")
	f := refs{want: heads + branch}
	if branch == "" {
		f.want = ""
		for word := range strings.FieldsSeq(list) {
			if to, ok := strings.CutPrefix(word, "symref=HEAD:"); ok {
				f.want = to
			}
		}
	}
	for line := ref; line != ""; {
		commit, name, _ := strings.Cut(line, " ")
		switch {
		case commit == "shallow": // of a repository that lacks history itself; ours is not longer
		case !isCommit(commit) || name == "":
			return Head{}, errGarbled
		case name == "HEAD" && branch == "" && f.want == "": // detached, or too old to say
			f.commit = commit
		default:
			f.see(commit, name)
		}
		k, next, err := s.read()
		if err != nil {
			return Head{}, err
		}
		if k != data && k != flush {
			return Head{}, errGarbled
		}
		line = next
	}
	return f.head()
}

// fetch0 asks for a commit, all of it: what is here already is not haggled over with a server of
// this age.
func (s *session) fetch0(commit string) (*pack, error) {
	var q request
	words := []string{"want", commit, "no-progress", "agent=" + agent}
	for word, offered := range map[string]bool{"side-band-64k": s.side, "ofs-delta": s.ofs, "multi_ack_detailed": s.acks} {
		if offered {
			words = append(words, word)
		}
	}
	q.line("%s", strings.Join(words, " "))
	if s.shallow {
		q.line("deepen 1")
	}
	q.flush()
	q.line("done")
	if err := s.send(q); err != nil {
		return nil, err
	}
	p := new(pack)
	if s.shallow {
		if err := p.section(s, flush); err != nil {
			return nil, err
		}
	}
	if _, line, err := s.read(); err != nil {
		return nil, err
	} else if line != "NAK" {
		return nil, errGarbled
	}
	s.in.left = math.MaxInt64 // who reads the pack limits it
	p.Reader = s.in.r
	if s.side {
		p.Reader = &band{packets: s.in}
	}
	return p, nil
}
