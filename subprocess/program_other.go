//go:build !linux

package subprocess

import "os"

// Program returns a path of the running program.
func Program() (string, error) { return os.Executable() }
