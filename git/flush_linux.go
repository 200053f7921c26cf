package git

import (
	"os"

	"golang.org/x/sys/unix"
)

// flush brings all that was written to the file system of f to the disk.
func flush(f *os.File) error { return os.NewSyscallError("syncfs", unix.Syncfs(int(f.Fd()))) }
