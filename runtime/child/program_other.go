//go:build !linux

package child

// forgetProgram does nothing here: only Linux tells a process where its program lies.
func forgetProgram() {}
