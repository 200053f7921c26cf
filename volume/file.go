package volume

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"

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
	return durable.SyncDir(filepath.Dir(path))
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
