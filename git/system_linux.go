package git

import (
	"os"

	"golang.org/x/sys/unix"
)

// flush syncs the file system of f.
func flush(f *os.File) error { return os.NewSyscallError("syncfs", unix.Syncfs(int(f.Fd()))) }
