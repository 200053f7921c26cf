//go:build !linux

package child

import "os"

// Program is a path of this program's file for others to open.
func Program() (string, error) { return os.Executable() }

// again is what a process started from here runs to be this program.
func again() (string, error) { return os.Executable() }

// forgetProgram does nothing here: only Linux tells a process where its program lies.
func forgetProgram() {}
