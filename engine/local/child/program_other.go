//go:build !linux

package child

import "os"

// Program is a path of this program.
func Program() (string, error) { return os.Executable() }

// forgetProgram does nothing here: only Linux tells a process where its program lies.
func forgetProgram() {}
