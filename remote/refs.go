package remote

import (
	"strings"
)

// refs finds a branch in a list of references without holding the list.
type refs struct {
	want   string // full name of the reference
	commit string // where it is; empty: not seen
	others []string
}

// shown is how many of the branches that are there are named to who asked for another.
const shown = 5

func (f *refs) see(commit, name string) {
	branch, ok := strings.CutPrefix(name, heads)
	switch {
	case name == f.want:
		f.commit = commit
	case ok && len(f.others) < shown:
		f.others = append(f.others, clean(branch))
	}
}

const heads = "refs/heads/"

// look asks where branch is; "" is the one that HEAD points at.
func (s *session) look(branch string) (Head, error) {
	if s.version == 0 {
		return s.look0(branch)
	}
	if branch == "" {
		return s.lookHead()
	}
	f := refs{want: heads + branch}
	if _, err := s.list(f.want, &f); err != nil {
		return Head{}, err
	}
	if f.commit == "" { // a mistake: worth a second question
		f.others = nil
		if _, err := s.list(heads, &f); err != nil {
			return Head{}, err
		}
	}
	return f.head()
}

func (s *session) lookHead() (Head, error) {
	f := refs{want: "HEAD"}
	target, err := s.list("HEAD", &f)
	if err != nil {
		return Head{}, err
	}
	f.want = target
	if f.commit == "" && target != "" {
		if _, err := s.list(heads, &f); err != nil { // which there are instead
			return Head{}, err
		}
	}
	return f.head()
}

// head is the verdict.
func (f *refs) head() (Head, error) {
	branch, ok := strings.CutPrefix(f.want, heads)
	switch {
	case f.want != "" && !ok, f.want == "" && f.commit != "":
		return Head{}, faultf(ErrNoBranch, "HEAD of the repository is not on a branch; name the branch to follow")
	case f.commit != "":
		return Head{Branch: branch, Commit: f.commit}, nil
	case len(f.others) == 0:
		return Head{}, faultf(ErrNoBranch, "the repository has no branches yet; push one to it")
	}
	return Head{}, faultf(ErrNoBranch, "the repository has no branch %s; there is %s", branch, strings.Join(f.others, ", "))
}

// list asks for the references that begin with prefix, shows them to f, and returns the one that
// HEAD points at where HEAD is among them (gitprotocol-v2(5), "ls-refs").
func (s *session) list(prefix string, f *refs) (target string, err error) {
	q := s.command("ls-refs")
	q.line("symrefs")
	if s.unborn {
		q.line("unborn")
	}
	q.line("ref-prefix %s", prefix)
	q.flush()
	if err := s.send(q); err != nil {
		return "", err
	}
	for {
		k, line, err := s.read()
		if err != nil {
			return "", err
		}
		if k == flush {
			s.answered = true
			return target, nil
		}
		commit, rest, _ := strings.Cut(line, " ")
		name, attributes, _ := strings.Cut(rest, " ")
		if k != data || !isCommit(commit) && commit != "unborn" || name == "" {
			return "", errGarbled
		}
		s.answered = true
		if name == "HEAD" {
			for word := range strings.FieldsSeq(attributes) {
				if to, ok := strings.CutPrefix(word, "symref-target:"); ok {
					target = to
				}
			}
		}
		if commit != "unborn" {
			f.see(commit, name)
		}
	}
}
