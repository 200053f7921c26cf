package git

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"paas/say"
)

// maxBranch is the maximum length of a branch's name in bytes. The name and ".lock" are also those
// of a file.
const maxBranch = 200

// CheckBranch returns an error if name cannot be the name of a branch. It accepts what git accepts
// (git-check-ref-format(1)), as long as people can see each character.
func CheckBranch(name string) error {
	switch {
	case !validBranch(name):
		return fmt.Errorf("%q is not a branch name", say.Plain(name, 500))
	case strings.HasPrefix(name, "refs/"), strings.HasPrefix(name, "heads/"):
		return fmt.Errorf("%q: name the branch alone, such as main", say.Plain(name, 500))
	}
	return nil
}

func validBranch(name string) bool {
	if len(name) > maxBranch || !utf8.ValidString(name) || name == "HEAD" || name == "@" ||
		name[:min(1, len(name))] == "-" || strings.HasSuffix(name, ".") ||
		strings.Contains(name, "..") || strings.Contains(name, "@{") {
		return false
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part[0] == '.' || strings.HasSuffix(part, ".lock") {
			return false
		}
	}
	return !strings.ContainsFunc(name, func(c rune) bool {
		return !unicode.IsPrint(c) || strings.ContainsRune(` ~^:?*[\`, c)
	})
}
