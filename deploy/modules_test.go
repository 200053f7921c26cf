package deploy

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"paas/git"
	"paas/remote"
)

// everywhere is a [Fetcher] of which each URL leads to one repository.
type everywhere struct{ dir string }

func (e everywhere) Fetch(
	_ context.Context, _ remote.Remote, ref remote.Ref, dir string,
) (string, error) {
	return ref.Commit, os.CopyFS(dir, os.DirFS(e.dir))
}

// nested returns a repository and n commits; each has the one before as its submodule "sub", and a
// file of 100 bytes.
func nested(t *testing.T, n int) (repo git.Repo, all []string) {
	t.Helper()
	dir := t.TempDir()
	run := func(input string, args ...string) string {
		cmd := exec.Command("git", args...)
		cmd.Dir, cmd.Stdin = dir, strings.NewReader(input)
		cmd.Env = append(os.Environ(), "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a",
			"GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a")
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("git %v: %v", args, err)
		}
		return strings.TrimSpace(string(out))
	}
	run("", "init", "-q", "--bare", ".")
	file := run(strings.Repeat("x", 100), "hash-object", "-w", "--stdin")
	modules := run("[submodule \"s\"]\n\tpath = sub\n\turl = https://host.test/x\n",
		"hash-object", "-w", "--stdin")
	for range n {
		tree := "100644 blob " + file + "\tfile\n"
		if len(all) > 0 {
			tree += fmt.Sprintf("100644 blob %s\t.gitmodules\n160000 commit %s\tsub\n", modules,
				all[len(all)-1])
		}
		all = append(all, run("", "commit-tree", "-m", "x", run(tree, "mktree", "--missing")))
	}
	return git.Repo{Dir: dir}, all
}

// writeModules writes the submodules of a commit, and returns the folder.
func writeModules(t *testing.T, repo git.Repo, commit string, limits *git.Inspector) (string, error) {
	s := newStage(t)
	objects := repo.Objects()
	defer objects.Close()
	tree := t.TempDir()
	m := Modules{Remote: everywhere{repo.Dir}}
	return tree, m.Write(t.Context(), s.app, objects, commit, tree, limits, new(bytes.Buffer))
}

func TestNestedModules(t *testing.T) {
	repo, commits := nested(t, maxModuleDepth+2)
	tree, err := writeModules(t, repo, commits[maxModuleDepth], new(git.Inspector))
	if err != nil {
		t.Error(err)
	}
	deepest := filepath.Join(tree, strings.Repeat("sub/", maxModuleDepth), "file")
	if _, err := os.Stat(deepest); err != nil {
		t.Error(err)
	}
	var bad *git.Refused
	_, err = writeModules(t, repo, commits[maxModuleDepth+1], new(git.Inspector))
	if !errors.As(err, &bad) || !strings.HasSuffix(bad.Reason, "more than 10 submodules inside each other") {
		t.Error(err)
	}
}

// The limits of a commit hold for its submodules too, all together.
func TestModulesTooLarge(t *testing.T) {
	repo, commits := nested(t, 5)
	for _, limits := range []*git.Inspector{{MaxBytes: 600}, {MaxFiles: 7}} {
		if _, err := writeModules(t, repo, commits[1], limits); err != nil {
			t.Error(err)
		}
		var bad *git.Refused
		_, err := writeModules(t, repo, commits[4], limits)
		if !errors.As(err, &bad) || !strings.HasPrefix(bad.Reason, "the submodule sub/sub") {
			t.Error(err)
		}
	}
}
