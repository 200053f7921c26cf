package remote

import (
	"path"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"

	"paas/git"
)

// CheckTag returns an error if pattern is not valid for [Ref].
func CheckTag(pattern string) error {
	if _, err := path.Match(pattern, ""); err != nil ||
		git.CheckBranch(strings.NewReplacer("*", "x", "?", "x", "[", "x").Replace(pattern)) != nil {
		return errorf(ErrNoTag, "%q is not a pattern for tags; write one such as v*",
			printable(pattern))
	}
	return nil
}

// tagFinder finds the newest version among the tags that match a pattern.
type tagFinder struct {
	pattern string
	best    Head            // of the newest version, or of the only tag that matches
	version *semver.Version // of best; nil: its name is no version
	matches []string        // names without a version, at most maxSuggestions and one
	others  []string        // that do not match
}

// prefix returns the part of the pattern that all matching names begin with.
func (f *tagFinder) prefix() string {
	if i := strings.IndexAny(f.pattern, `*?[\`); i >= 0 {
		return f.pattern[:i]
	}
	return f.pattern
}

func (f *tagFinder) add(commit, ref string) {
	ref, ok := strings.CutPrefix(ref, tagsPrefix)
	if !ok {
		return
	}
	name, isPeeled := strings.CutSuffix(ref, peeled)
	if isPeeled && name == f.best.Name { // the commit comes after its tag
		f.best.Commit = commit
	}
	if isPeeled || git.CheckBranch(name) != nil {
		return
	}
	if ok, _ := path.Match(f.pattern, name); !ok {
		f.others = appendSome(f.others, name)
		return
	}
	version := versionOf(name)
	if version == nil {
		f.matches = appendSome(f.matches, name)
	}
	if f.best.Name == "" || newer(version, f.version) {
		f.best, f.version = Head{Name: name, Commit: commit}, version
	}
}

func appendSome(names []string, name string) []string {
	return append(names, name)[:min(len(names)+1, maxSuggestions)]
}

// versionOf returns the version that a tag names, or nil. A word may stand before it, as in
// release-1.2 or api/v1.2.3.
func versionOf(tag string) *semver.Version {
	digit := strings.IndexAny(tag, "0123456789")
	if digit < 0 {
		return nil
	}
	before := strings.TrimSuffix(tag[:digit], "v")
	if before != "" && !strings.ContainsRune("/-_@", rune(before[len(before)-1])) {
		return nil
	}
	version, err := semver.NewVersion(tag[digit:])
	if err != nil {
		return nil
	}
	return version
}

// newer reports whether version a is to be preferred to b. A final version is preferred to a
// pre-release, and that to none (nil).
func newer(a, b *semver.Version) bool {
	switch {
	case a == nil || b == nil:
		return a != nil
	case (a.Prerelease() == "") != (b.Prerelease() == ""):
		return a.Prerelease() == ""
	}
	return a.GreaterThan(b)
}

func (f *tagFinder) result() (Head, error) {
	switch {
	case f.version != nil || len(f.matches) == 1:
		return f.best, nil
	case len(f.matches) > 1:
		return Head{}, errorf(ErrNoTag, "none of the tags that match %s is a version such as "+
			"v1.2.3: %s; name one", f.pattern, strings.Join(f.matches, ", "))
	case len(f.others) > 0:
		slices.Sort(f.others)
		return Head{}, errorf(ErrNoTag, "no tag of the repository matches %s; it has %s", f.pattern,
			strings.Join(f.others, ", "))
	}
	return Head{}, errorf(ErrNoTag, "no tag of the repository matches %s", f.pattern)
}
