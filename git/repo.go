package git

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"paas/durable"
)

// Repo is one bare repository. It is a value: cheap to copy, holding nothing open.
type Repo struct {
	Dir        string     // absolute path
	Hooks      string     // folder of the hooks git runs; empty: none, whatever the repository holds
	MaxPush    int64      // bytes of one pushed pack; 0: no limit
	Quarantine Quarantine // objects that are pushed but not accepted; zero: none
	Env        []string   // of git's processes, besides what they always get
}

// attributes make a checkout the bytes of the commit: no line endings, keywords or encodings of a
// .gitattributes in the tree are applied. info/attributes outranks every other attributes file
// (gitattributes(5)). "!" because git refuses false as a working-tree-encoding.
const attributes = "* -text -ident -filter !eol !working-tree-encoding\n"

// config is the config file of a repository.
const config = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n"

// Init fills dir, an existing and empty folder, with an empty bare repository whose HEAD is branch.
// It runs no git and copies no template. The files are on disk when it returns; for the repository
// to appear whole under its name, make it elsewhere and rename dir.
func Init(dir, branch string) error {
	for _, d := range []string{"info", "objects/info", "objects/pack", "refs/heads", "refs/tags"} {
		if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
			return err
		}
	}
	files := map[string]string{
		"HEAD":            "ref: refs/heads/" + branch + "\n",
		"config":          config,
		"info/attributes": attributes,
	}
	for name, content := range files {
		if err := durable.Create(filepath.Join(dir, name), []byte(content), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// Check says what git needs and the repository does not have: its error is [fs.ErrNotExist] where
// there is no repository at all, and names the missing part where it is damaged.
func (r Repo) Check() error {
	if _, err := os.Stat(r.Dir); err != nil {
		return err
	}
	for _, part := range []string{"HEAD", "config", "objects", "refs"} {
		if _, err := os.Stat(filepath.Join(r.Dir, part)); errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("%s is damaged: it has no %s", r.Dir, part)
		} else if err != nil {
			return err
		}
	}
	return nil
}
