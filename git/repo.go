package git

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"paas/durable"
)

// Repo is a bare repository. It is a small value that holds nothing open.
type Repo struct {
	Dir string // absolute path
	// folder of the hooks that git runs; default none, whatever the repository contains
	Hooks      string
	MaxPush    int64      // bytes of one pushed pack; 0: no limit
	Quarantine Quarantine // pushed objects that are not accepted yet; default none
	Env        []string   // extra environment of git processes
}

// attributes makes a checkout byte-for-byte equal to the commit: line endings, keywords and
// encodings in a .gitattributes of the tree are not applied. info/attributes overrides all other
// attributes files (gitattributes(5)). "!" because git rejects false as a working-tree-encoding.
const attributes = "* -text -ident -filter !eol !working-tree-encoding\n"

// config is the config file of a new repository.
const config = "[core]\n\trepositoryformatversion = 0\n\tfilemode = true\n\tbare = true\n"

// Init creates an empty bare repository in dir, an existing empty folder. HEAD is branch. It runs
// no git and uses no template. The files are synced when it returns. To make the repository appear
// atomically, create it under another name and rename dir.
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

// Check returns an error if a part that git needs is missing. The error matches [fs.ErrNotExist] if
// there is no repository at all.
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
