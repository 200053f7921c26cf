package git

import (
	"os/exec"
	"strings"
	"testing"
)

// names are dangerous on some file system.
var names = []string{
	"a", ".gitignore", ".gitmodules", ".gita", "git", "git~2", "git~10", "a.git", "...", " .git",
	"con", "a\\b", "\xff", "ü", ".g\xffit",
	"", ".", "..", "a/b", "/", ".git", ".GIT", ".Git", "git~1", "GIT~1", ".git ", ".git.",
	".git . .", ".git::$INDEX_ALLOCATION",
	"git~1:x", "git~1.", ".g\u200cit", "\ufeff.git", ".git\u206f", ".gİt", ".gıt", "a\\.git",
	"a\\GIT~1 ", ".git\\a", "a:\\.git", ".git\u200c.", "a\\.g\u200cit",
}

// safeName refuses the same names as git.
func TestSafeName(t *testing.T) {
	r := newRepo(t)
	hash := blob(t, r, "x")
	for _, name := range names {
		cmd := exec.Command("git", "-c", "core.protectHFS=true", "-c", "core.protectNTFS=true",
			"update-index", "--add", "-z", "--index-info")
		cmd.Dir = r.Dir
		cmd.Stdin = strings.NewReader("100644 " + hash + " 0\t" + name + "\x00")
		said, err := cmd.CombinedOutput() // it exits with 0 after "Ignoring path ..."
		if err != nil {
			t.Fatal(err)
		}
		want := len(said) == 0 && !strings.Contains(name, "/") // git takes a slash for a path
		if got := safeName(name); got != want {
			t.Errorf("%q: %v, git: %s", name, got, said)
		}
	}
}

func FuzzSafeName(f *testing.F) {
	for _, name := range names {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		if !safeName(name) {
			return
		}
		if name == "" || strings.ContainsAny(name, "/\x00") || strings.Trim(name, ".") == "" &&
			len(name) < 3 ||
			strings.EqualFold(strings.TrimRight(name, " ."), ".git") ||
			strings.EqualFold(name, "git~1") {
			t.Errorf("%q", name)
		}
	})
}
