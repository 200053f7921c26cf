//go:build !linux

package confine

import "syscall"

// Enter does nothing on this system.
func (b *Box) Enter(*syscall.SysProcAttr) error { return nil }

// Untraceable does nothing on this system.
func Untraceable() error { return nil }

// MayStay says that it may: no thread is put anywhere.
func (b *Box) MayStay() bool { return true }
