package volume

import (
	"errors"
	"io/fs"
	"os"
	"syscall"
)

// folders are those that every app has. Its processes may be another user's than the server, and reach
// what is theirs through them.
var folders = []string{"builds", "releases", "cache", "data", "logs"}

// openFolder makes dir, where there is none, and has all users read it, whatever the umask. One that
// another user owns stays as it is: an app's data is the app's.
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

// OpenFolders opens the folders of all apps to their users, where an earlier version has made them under
// a umask that kept other users out. An error does not keep it from the other folders.
func (v *Volume) OpenFolders() error {
	names, err := v.Apps()
	for _, name := range names {
		for _, dir := range folders {
			err = errors.Join(err, openFolder(App{vol: v, Name: name}.path(dir)))
		}
	}
	return err
}
