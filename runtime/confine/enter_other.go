//go:build !linux

package confine

import "syscall"

// Enter does nothing on this system.
func (b *Box) Enter(*syscall.SysProcAttr) error { return nil }
