package builder

import (
	"fmt"
	"io"
	"os"

	"golang.org/x/sys/unix"
)

// readFile reads a regular file of at most limit bytes from a folder that an app can write to. It
// refuses links, which may lead anywhere, pipes, which block, and devices, which may never end.
func readFile(path string, limit int64) ([]byte, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s: not a regular file", path)
	}
	content, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(content)) > limit {
		err = fmt.Errorf("%s: larger than %d kB", path, limit>>10)
	}
	return content, err
}
