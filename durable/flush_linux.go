package durable

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// Flush puts everything written to the file system of dir on disk: one call, where a flush of each
// file of a build would be thousands.
func Flush(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(unix.Syncfs(int(f.Fd())), f.Close())
}
