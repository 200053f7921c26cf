package builder

import (
	"bytes"
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"paas/builder/cmdline"
	"paas/builder/tree"
)

// maxText is the size of the largest file in which [Settle] looks for paths.
const maxText = 1 << 20

// IsSettled reports whether [Settle] has nothing to do. It takes less than a millisecond.
func IsSettled(cache string, view View) bool { return len(unsettled(cache, view)) == 0 }

// Settle corrects the shared folders of a cache, which contain their own paths, if commands see
// them elsewhere than when they were made: after a move of the volume, and after a change of how
// apps are isolated. It reads all texts in them, 10,000 in a second. A kill in between does no harm:
// the next call goes on.
func Settle(cache string, view View) error {
	root, err := os.OpenRoot(cache) // a build may change anything in it
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer root.Close()
	for folder, made := range unsettled(cache, view) {
		name, err := filepath.Rel(cache, folder)
		if err != nil {
			return err
		}
		now := view.Inside(folder)
		if err := movePaths(root, name, made, now); err != nil {
			return err
		}
		if err := replaceFile(root, filepath.Join(name, completeName), []byte(now), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// unsettled returns the complete shared folders that were made at another path, and those paths.
func unsettled(cache string, view View) map[string]string {
	folders := map[string]string{}
	for _, folder := range sharedFolders(cache) {
		path, err := readFile(filepath.Join(folder, completeName), 4<<10)
		made := cmp.Or(string(path), folder) // older versions wrote nothing
		if err == nil && made != view.Inside(folder) {
			folders[folder] = made
		}
	}
	return folders
}

// movedName is that of a file that takes the place of another one in its folder.
const movedName = ".moved"

// movePaths replaces a path in a text, a link, or all those in a folder. A build may have closed
// folders to their owner; they are opened. What the owner cannot read stays as it is.
func movePaths(root *os.Root, name, from, to string) error {
	info, err := root.Lstat(name)
	switch {
	case err != nil:
		return err
	case info.Mode()&fs.ModeSymlink != 0:
		link, err := root.Readlink(name)
		moved := cmdline.MovePath(link, from, to)
		if err != nil || moved == link {
			return err
		}
		return errors.Join(root.Remove(name), root.Symlink(moved, name))
	case info.IsDir():
		if mode := info.Mode().Perm(); mode&0o700 != 0o700 {
			if err := root.Chmod(name, mode|0o700); err != nil {
				return err
			}
		}
		entries, err := tree.List(root, name)
		for _, e := range entries {
			if e.Name() != movedName { // of a call that was killed
				err = errors.Join(err, movePaths(root, filepath.Join(name, e.Name()), from, to))
			}
		}
		return err
	case !info.Mode().IsRegular() || info.Size() > maxText:
		return nil
	}
	content, err := tree.Read(root, name, maxText)
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	moved := cmdline.MovePath(string(content), from, to)
	if err != nil || moved == string(content) || bytes.IndexByte(content, 0) >= 0 { // compiled
		return err
	}
	return replaceFile(root, name, []byte(moved), info.Mode().Perm())
}

// replaceFile puts a file in the place of another one, which a process may be reading.
func replaceFile(root *os.Root, name string, content []byte, mode fs.FileMode) error {
	tmp := filepath.Join(filepath.Dir(name), movedName)
	err := root.Remove(tmp) // of a call that was killed
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = root.WriteFile(tmp, content, mode)
	}
	if err != nil {
		return err
	}
	return errors.Join(root.Chmod(tmp, mode), root.Rename(tmp, name))
}
