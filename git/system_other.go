//go:build !linux

package git

import (
	"os"

	"golang.org/x/sys/unix"
)

// flush syncs all file systems: there is no call for a single one.
func flush(*os.File) error { return os.NewSyscallError("sync", unix.Sync()) }
