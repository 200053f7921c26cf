package git

import (
	"strings"
	"testing"
)

func TestCheckBranch(t *testing.T) {
	for name, want := range map[string]string{
		"main": "", "feature/login-2": "", "v1.0": "", "a.lock.b": "",
		"":                       "is not a branch name",
		"HEAD":                   "is not a branch name",
		"-x":                     "is not a branch name",
		"a..b":                   "is not a branch name",
		"a./b":                   "is not a branch name",
		"a.lock":                 "is not a branch name",
		"a b":                    "is not a branch name",
		"a\x1b[2J":               "is not a branch name",
		strings.Repeat("a", 201): "is not a branch name",
		"refs/heads/main":        "name the branch alone",
		"heads/main":             "name the branch alone",
	} {
		err := CheckBranch(name)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", name, err, want)
		}
	}
}
