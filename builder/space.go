package builder

import (
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// errNoSpace means that the disk is full, and says what to do.
var errNoSpace = errors.New("no space left on device; free some (old builds, an app's data, its " +
	"cache), then push again")

// explainSpace turns an error that comes from a full disk or quota into errNoSpace.
func explainSpace(err error) error {
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) {
		var path *os.PathError
		if errors.As(err, &path) {
			return fmt.Errorf("%s %s: %w", path.Op, path.Path, errNoSpace)
		}
		return errNoSpace
	}
	return err
}

// isFull reports whether the file system at path has less free than any tool needs: 1 MiB or 16
// files. It explains a tool's failure without parsing the tool's output.
func isFull(path string) bool {
	var fs unix.Statfs_t
	if unix.Statfs(path, &fs) != nil {
		return false
	}
	return uint64(fs.Bavail)*uint64(fs.Bsize) < 1<<20 || fs.Files > 0 && fs.Ffree < 16
}
