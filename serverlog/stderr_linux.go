package serverlog

import (
	"os"

	"golang.org/x/sys/unix"
)

// becomeStderr makes file what the process has as its standard error.
func becomeStderr(file *os.File) error { return unix.Dup3(int(file.Fd()), 2, 0) }
