package builder

import (
	"bytes"
	"cmp"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"paas/builder/cmdline"
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

// movePaths replaces a path in the texts and the links of a folder.
func movePaths(root *os.Root, folder, from, to string) error {
	return fs.WalkDir(root.FS(), folder, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.Type() == fs.ModeSymlink {
			link, err := root.Readlink(name)
			moved := cmdline.MovePath(link, from, to)
			if err != nil || moved == link {
				return err
			}
			return errors.Join(root.Remove(name), root.Symlink(moved, name))
		}
		info, err := d.Info()
		if err != nil || !info.Mode().IsRegular() || info.Size() > maxText {
			return err
		}
		content, err := root.ReadFile(name)
		if err != nil || bytes.IndexByte(content, 0) >= 0 { // compiled
			return err
		}
		moved := cmdline.MovePath(string(content), from, to)
		if moved == string(content) {
			return nil
		}
		return replaceFile(root, name, []byte(moved), info.Mode().Perm())
	})
}

// replaceFile puts a file in the place of another one, which a process may be reading.
func replaceFile(root *os.Root, name string, content []byte, mode fs.FileMode) error {
	tmp := name + ".moved"
	err := root.Remove(tmp) // of a call that was killed
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		err = root.WriteFile(tmp, content, mode)
	}
	if err != nil {
		return err
	}
	return errors.Join(root.Chmod(tmp, mode), root.Rename(tmp, name))
}
