package volume

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"paas/durable"
)

// WriteFile writes a file whole: readers, also after a crash or a power cut, find the old content
// or the new. It blocks for two fsyncs (about 1 ms on a local disk).
func (v *Volume) WriteFile(path string, content []byte, mode fs.FileMode) error {
	tmp, err := v.temp()
	if err != nil {
		return err
	}
	if err := durable.Create(tmp, content, mode); err != nil {
		return err
	}
	return v.put(tmp, path)
}

// put renames the file or link tmp to path, replacing any file or link. A folder of that name,
// which somebody made by mistake, is moved aside: else the file could never be written again.
func (v *Volume) put(tmp, path string) error {
	err := v.move(tmp, path)
	if err != nil && isFolder(path) {
		if err = v.aside(path); err == nil {
			err = v.move(tmp, path)
		}
	}
	if err != nil {
		os.Remove(tmp)
		return err
	}
	return durable.SyncDir(filepath.Dir(path))
}

// move renames a file, folder or link.
func (v *Volume) move(from, to string) error {
	out, err := v.above(from)
	if err != nil {
		return err
	}
	defer out.Close()
	in, err := v.above(to)
	if err != nil {
		return err
	}
	defer in.Close()
	err = unix.Renameat(int(out.Fd()), filepath.Base(from), int(in.Fd()), filepath.Base(to))
	if err != nil {
		return &os.LinkError{Op: "rename", Old: from, New: to, Err: err}
	}
	return nil
}

// above opens the folder above path. Among the apps it follows no link that leads out of the app:
// one that runs as the server's user, in a container without Landlock, may have put it there to
// have a role write where only that role can, such as to the keys.
func (v *Volume) above(path string) (*os.File, error) {
	dir, apps := filepath.Dir(path), filepath.Join(v.Root, "apps")
	below, err := filepath.Rel(apps, dir)
	if err != nil || !filepath.IsLocal(below) {
		return os.Open(dir)
	}
	root, err := os.OpenRoot(apps)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	opened, err := root.Stat(".")
	if now, lstatErr := os.Lstat(apps); err != nil || lstatErr != nil || !os.SameFile(now, opened) {
		return nil, errors.Join(err, lstatErr, fmt.Errorf("%s is a link", apps))
	}
	app, below, inside := strings.Cut(below, "/")
	if !inside {
		return root.Open(app)
	}
	home, err := root.OpenRoot(app)
	if err != nil {
		return nil, err
	}
	defer home.Close()
	return home.Open(below)
}

func isFolder(path string) bool {
	info, err := os.Lstat(path)
	return err == nil && info.IsDir()
}

// writeJSON writes value as indented JSON: people read these files when something is wrong.
func (v *Volume) writeJSON(path string, value any, mode fs.FileMode) error {
	content, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return err
	}
	return v.WriteFile(path, append(content, '\n'), mode)
}

// ReplaceLink makes the symbolic link path point at target, in one step. The temporary link has a
// random name: a fixed one, left by a kill, would block every later change.
func (v *Volume) ReplaceLink(target, path string) error {
	tmp, err := v.temp()
	if err != nil {
		return err
	}
	if err := os.Symlink(target, tmp); err != nil {
		return err
	}
	return v.put(tmp, path)
}
