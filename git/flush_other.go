//go:build !linux

package git

import (
	"os"

	"golang.org/x/sys/unix"
)

// flush brings all that was written to any file system to the disk: elsewhere than on Linux, one
// alone cannot be named.
func flush(*os.File) error { return os.NewSyscallError("sync", unix.Sync()) }
