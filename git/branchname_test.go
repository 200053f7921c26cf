package git

import (
	"os/exec"
	"strings"
	"testing"
)

func TestCheckBranch(t *testing.T) {
	for name, want := range map[string]string{
		"main": "", "feature/login-2": "", "v1.0": "", "a.lock.b": "", "ünï": "", "feature/#12": "",
		"@types/x": "", "a+b": "", "a@b": "", "a=b": "", "fix,this": "", "a;b": "", "it's": "", "日本": "",
		strings.Repeat("a", 200): "", "HEAD/x": "",
		"":                       "is not a branch name",
		"HEAD":                   "is not a branch name",
		"-x":                     "is not a branch name",
		"@":                      "is not a branch name",
		"a..b":                   "is not a branch name",
		"a@{1}":                  "is not a branch name",
		"a//b":                   "is not a branch name",
		"/a":                     "is not a branch name",
		"a/":                     "is not a branch name",
		"a/.b":                   "is not a branch name",
		".a":                     "is not a branch name",
		"a.lock/b":               "is not a branch name",
		"a~1":                    "is not a branch name",
		"a^":                     "is not a branch name",
		"a:b":                    "is not a branch name",
		"a?":                     "is not a branch name",
		"a*":                     "is not a branch name",
		"a[b":                    "is not a branch name",
		`a\b`:                    "is not a branch name",
		"a\x7f":                  "is not a branch name",
		"a\u202eb":               "is not a branch name",
		"a\u00a0b":               "is not a branch name",
		"a\xff":                  "is not a branch name",
		"a.":                     "is not a branch name",
		"a./b":                   "",
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

// git accepts what CheckBranch accepts.
func TestCheckBranchAsGit(t *testing.T) {
	for _, name := range []string{"ünï", "feature/#12", "@types/x", "a+b", "a./b", "it's", "HEAD/x"} {
		if err := exec.Command("git", "check-ref-format", "--branch", name).Run(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}
