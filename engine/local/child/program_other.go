//go:build !linux

package child

import "os"

// Program returns a path of the running program.
func Program() (string, error) { return os.Executable() }

// dropProgramPages does nothing here.
func dropProgramPages() {}
