package volume

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// folders are the folders that every app has. Its processes may run as another user than the
// server, and must be able to enter them.
var folders = []string{"builds", "releases", "cache", "data", "logs"}

// openFolder makes dir if needed, and lets all users read it, whatever the umask is. A folder that
// another user owns stays as it is: the app decides about its data.
func openFolder(dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm()&0o755 == 0o755 {
		return err
	}
	if owner, ok := info.Sys().(*syscall.Stat_t); ok && int(owner.Uid) != os.Geteuid() {
		return nil
	}
	return os.Chmod(dir, info.Mode().Perm()|0o755)
}

// OpenFolders opens the folders of all apps to their users. Earlier versions made them under a
// umask that may keep other users out. After an error it goes on with the other folders.
func (v *Volume) OpenFolders() error {
	names, err := v.Apps()
	for _, name := range names {
		for _, dir := range folders {
			err = errors.Join(err, openFolder(App{vol: v, Name: name}.path(dir)))
		}
	}
	return err
}
