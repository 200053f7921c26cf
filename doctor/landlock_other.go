//go:build !linux

package doctor

import "errors"

// Landlock returns an error: only Linux has it.
func Landlock() error { return errors.New("this system has no Landlock") }
