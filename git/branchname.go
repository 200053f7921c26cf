package git

import (
	"fmt"
	"regexp"
	"strings"

	"paas/say"
)

// branchName is what git accepts as a branch and a person can type (git-check-ref-format(1)).
var branchName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)*$`)

// CheckBranch fails if name cannot be the name of a branch.
func CheckBranch(name string) error {
	switch {
	case !branchName.MatchString(name), strings.Contains(name, ".."), strings.Contains(name+"/", "./"),
		strings.Contains(name+"/", ".lock/"), name == "HEAD", len(name) > 200:
		return fmt.Errorf("%q is not a branch name", say.Plain(name, 500))
	case strings.HasPrefix(name, "refs/"), strings.HasPrefix(name, "heads/"):
		return fmt.Errorf("%q: name the branch alone, such as main", say.Plain(name, 500))
	}
	return nil
}
