package builder

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// readFile reads a file of at most limit bytes in a folder that an app writes to, and nothing else that may be
// there under its name: a link leads elsewhere, a pipe blocks, a device never ends.
func readFile(path string, limit int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file", path)
	}
	content, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(content)) > limit {
		err = fmt.Errorf("%s: larger than %d kB", path, limit>>10)
	}
	return content, err
}
