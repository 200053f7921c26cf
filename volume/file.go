package volume

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// WriteFile writes a file whole: whoever reads path, and whatever is left after a crash or a power
// cut, is the old content or the new. It blocks for two fsyncs (about 1 ms on a local disk).
func (v *Volume) WriteFile(path string, content []byte, mode fs.FileMode) error {
	tmp, err := v.temp()
	if err != nil {
		return err
	}
	if err := writeSynced(tmp, content, mode); err != nil {
		return err
	}
	return v.put(tmp, path)
}

// put gives the file or link tmp its name, replacing a file or link of that name. A folder of that
// name, which somebody made by mistake, is moved aside: else the file could never be written again.
func (v *Volume) put(tmp, path string) error {
	err := os.Rename(tmp, path)
	if err != nil && isFolder(path) {
		if err = v.aside(path); err == nil {
			err = os.Rename(tmp, path)
		}
	}
	if err != nil {
		os.Remove(tmp)
		return err
	}
	return syncDir(filepath.Dir(path))
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

func writeSynced(path string, content []byte, mode fs.FileMode) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	_, err = f.Write(content)
	if err == nil {
		err = f.Chmod(mode) // the umask may have taken bits away
	}
	if err == nil {
		err = f.Sync() // else a crash can leave an empty file behind the new name
	}
	if err := errors.Join(err, f.Close()); err != nil {
		os.Remove(path)
		return err
	}
	return nil
}

// syncDir makes a rename in dir survive a power cut.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// ReplaceLink points the symbolic link path at target, replacing what it pointed at before in one
// step. The temporary link has a random name: a fixed one, left by a kill, blocks every later flip.
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
