//go:build !linux

package serverlog

import (
	"os"

	"golang.org/x/sys/unix"
)

// becomeStderr makes file what the process has as its standard error.
func becomeStderr(file *os.File) error { return unix.Dup2(int(file.Fd()), 2) }
