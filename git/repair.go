package git

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"paas/durable"
)

var (
	refContent = regexp.MustCompile(`^[0-9a-f]{40}\n?$`)
	headLine   = regexp.MustCompile(`^ref: refs/heads/[^\s\x00]+\n?$`)
	packedLine = regexp.MustCompile(`^(#.*|\^[0-9a-f]{40}|[0-9a-f]{40} refs/[^\s\x00]+)?$`)
)

// Damaged lists files, relative to Dir, that git cannot read and [Repo.Repair] can fix: HEAD,
// config, packed-refs, folders and branches. It reads a few small files and runs no git.
func (r Repo) Damaged() (files []string, err error) {
	check := func(name string, missing bool, good func(content string) bool) {
		content, readErr := os.ReadFile(filepath.Join(r.Dir, name))
		switch {
		case errors.Is(readErr, fs.ErrNotExist):
			if missing {
				files = append(files, name)
			}
		case readErr != nil:
			err = errors.Join(err, readErr)
		case !good(string(content)):
			files = append(files, name)
		}
	}
	check("HEAD", true, headLine.MatchString)
	_, lost := os.Stat(filepath.Join(r.Dir, "objects"))
	if errors.Is(lost, fs.ErrNotExist) {
		files = append(files, "objects")
	}
	check("config", true,
		func(content string) bool { return strings.HasPrefix(strings.TrimSpace(content), "[") })
	check("packed-refs", false, func(content string) bool {
		if lost != nil { // the references have lost their objects
			return false
		}
		for _, line := range strings.Split(content, "\n") {
			if !packedLine.MatchString(line) {
				return false
			}
		}
		return true
	})
	heads := filepath.Join(r.Dir, "refs", "heads")
	walkErr := filepath.WalkDir(heads, func(path string, e fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			if path == heads {
				files = append(files, "refs/heads")
			}
		case err != nil:
			return err
		case !e.IsDir() && !strings.HasSuffix(path, ".lock"):
			name, _ := filepath.Rel(r.Dir, path)
			check(name, false,
				func(content string) bool { return lost == nil && refContent.MatchString(content) })
		}
		return nil
	})
	return files, errors.Join(err, walkErr)
}

// Repair fixes the files that [Repo.Damaged] listed and makes HEAD name branch. If branch is damaged,
// it points at commit afterwards; "" if that is not known. Other damaged branches are removed. It
// renames a damaged packed-refs to packed-refs.damaged. Nothing else may use the repository
// meanwhile.
func (r Repo) Repair(files []string, branch, commit string) error {
	tmp := filepath.Join(r.Dir, "repair")
	for _, name := range files {
		path := filepath.Join(r.Dir, name)
		var err error
		switch name {
		case "HEAD":
			err = durable.Replace(path, tmp, []byte("ref: "+Branch(branch)+"\n"), 0o644)
		case "config":
			err = durable.Replace(path, tmp, []byte(config), 0o644)
		case "packed-refs":
			err = os.Rename(path, path+".damaged")
		case "refs/heads":
			err = os.MkdirAll(path, 0o755)
		case "objects":
			err = errors.Join(os.MkdirAll(filepath.Join(path, "info"), 0o755),
				os.MkdirAll(filepath.Join(path, "pack"), 0o755))
		case Branch(branch):
			if commit == "" {
				err = os.Remove(path)
			} else {
				err = durable.Replace(path, tmp, []byte(commit+"\n"), 0o644)
			}
		default:
			err = os.Remove(path)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
