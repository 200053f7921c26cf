package remote

import (
	"strings"

	"paas/git"
)

// branchFinder finds a branch in a list of references without storing the list.
type branchFinder struct {
	want   string // full name
	found  string // commit; "" if not seen
	others []string
}

// maxSuggestions is how many existing branches are named if the wanted one does not exist.
const maxSuggestions = 5

func (f *branchFinder) add(commit, name string) {
	branch, ok := strings.CutPrefix(name, headsPrefix)
	switch {
	case name == f.want:
		f.found = commit
	case ok && len(f.others) < maxSuggestions:
		f.others = append(f.others, printable(branch))
	}
}

const headsPrefix = "refs/heads/"

// head returns the head of branch; "" means the branch that HEAD points at.
func (s *session) head(branch string) (Head, error) {
	if s.version == 0 {
		return s.headV0(branch)
	}
	if branch == "" {
		return s.defaultHead()
	}
	f := branchFinder{want: headsPrefix + branch}
	if _, err := s.lsRefs(f.want, &f); err != nil {
		return Head{}, err
	}
	if f.found == "" { // list the branches for the error message
		f.others = nil
		if _, err := s.lsRefs(headsPrefix, &f); err != nil {
			return Head{}, err
		}
	}
	return f.result()
}

func (s *session) defaultHead() (Head, error) {
	f := branchFinder{want: "HEAD"}
	target, err := s.lsRefs("HEAD", &f)
	if err != nil {
		return Head{}, err
	}
	f.want = target
	if f.found == "" && target != "" {
		// list the branches for the error message
		if _, err := s.lsRefs(headsPrefix, &f); err != nil {
			return Head{}, err
		}
	}
	return f.result()
}

// result returns the head, or an error that names the existing branches.
func (f *branchFinder) result() (Head, error) {
	branch, ok := strings.CutPrefix(f.want, headsPrefix)
	switch {
	case f.want != "" && !ok, f.want == "" && f.found != "":
		return Head{}, errorf(ErrNoBranch, "the repository's HEAD is not on a branch; name the "+
			"branch to follow")
	case f.want != "" && git.CheckBranch(branch) != nil:
		return Head{}, errorf(ErrNoBranch, "the repository's HEAD is on %s, which cannot be "+
			"followed: git branch -m renames it", printable(branch))
	case f.found != "":
		return Head{Branch: branch, Commit: f.found}, nil
	case len(f.others) == 0:
		return Head{}, errorf(ErrNoBranch, "the repository has no branches yet; push one to it")
	}
	return Head{}, errorf(ErrNoBranch, "the repository has no branch %s; it has %s", branch,
		strings.Join(f.others, ", "))
}

// lsRefs passes the references that begin with prefix to f. It returns the branch that HEAD points
// at, if HEAD is among them (gitprotocol-v2(5), "ls-refs").
func (s *session) lsRefs(prefix string, f *branchFinder) (target string, err error) {
	q := s.command("ls-refs")
	q.addLine("symrefs")
	if s.unborn {
		q.addLine("unborn")
	}
	q.addLine("ref-prefix %s", prefix)
	q.addFlush()
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
			return "", errProtocol
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
			f.add(commit, name)
		}
	}
}
