package remote

import (
	"strings"

	"paas/git"
)

const (
	headsPrefix = "refs/heads/"
	tagsPrefix  = "refs/tags/"
	peeled      = "^{}" // ends the name of the commit that an annotated tag points at
)

// branchFinder finds a branch in a list of references without storing the list.
type branchFinder struct {
	want   string // full name
	found  string // commit; "" if not seen
	tag    string // full name of a tag like the wanted branch
	isTag  bool   // that tag was seen
	others []string
}

// maxSuggestions is how many existing names are listed if the wanted one does not exist.
const maxSuggestions = 5

func (f *branchFinder) add(commit, name string) {
	branch, ok := strings.CutPrefix(name, headsPrefix)
	switch {
	case name == f.want:
		f.found = commit
	case name == f.tag:
		f.isTag = true
	case ok && len(f.others) < maxSuggestions:
		f.others = append(f.others, printable(branch))
	}
}

// head returns what ref points at.
func (s *session) head(ref Ref) (Head, error) {
	switch {
	case ref.Commit != "":
		var err error
		if s.version == 0 { // it lists all before a fetch
			_, err = s.refsV0(func(string, string) {})
		}
		return Head{Commit: ref.Commit}, err
	case ref.Tag != "":
		f := tagFinder{pattern: ref.Tag}
		if _, err := s.refs(tagsPrefix+f.prefix(), f.add); err != nil {
			return Head{}, err
		}
		return f.result()
	case ref.Branch == "":
		return s.defaultHead()
	}
	f := branchFinder{want: headsPrefix + ref.Branch, tag: tagsPrefix + ref.Branch}
	if _, err := s.refs(f.want, f.add); err != nil {
		return Head{}, err
	}
	if f.found == "" && s.version != 0 { // for the error message
		f.others = nil
		for _, prefix := range []string{headsPrefix, f.tag} {
			if _, err := s.refs(prefix, f.add); err != nil {
				return Head{}, err
			}
		}
	}
	return f.result()
}

// defaultHead returns the head of the branch that HEAD points at.
func (s *session) defaultHead() (Head, error) {
	f := branchFinder{want: "HEAD"}
	target, err := s.refs("HEAD", f.add)
	if err != nil {
		return Head{}, err
	}
	f.want = target
	if f.found == "" && target != "" && s.version != 0 { // for the error message
		if _, err := s.refs(headsPrefix, f.add); err != nil {
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
		return Head{Name: branch, Commit: f.found}, nil
	case f.isTag:
		return Head{}, errorf(ErrIsTag, "%s is a tag, not a branch", branch)
	case len(f.others) == 0:
		return Head{}, errorf(ErrNoBranch, "the repository has no branches yet; push one to it")
	}
	return Head{}, errorf(ErrNoBranch, "the repository has no branch %s; it has %s", branch,
		strings.Join(f.others, ", "))
}

// refs passes the references that begin with prefix to add, and possibly others. The commit of an
// annotated tag comes after the tag, with [peeled] behind its name. refs returns the branch that
// HEAD points at, if HEAD is among them. With version 0 it can be called once in a session.
func (s *session) refs(prefix string, add func(commit, name string)) (target string, err error) {
	if s.version == 0 {
		return s.refsV0(add)
	}
	// gitprotocol-v2(5), "ls-refs"
	q := s.command("ls-refs")
	q.addLine("symrefs")
	q.addLine("peel")
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
		if commit != "unborn" {
			add(commit, name)
		}
		for word := range strings.FieldsSeq(attributes) {
			if to, ok := strings.CutPrefix(word, "symref-target:"); ok && name == "HEAD" {
				target = to
			}
			if to, ok := strings.CutPrefix(word, "peeled:"); ok && isCommit(to) {
				add(to, name+peeled)
			}
		}
	}
}
