//go:build !linux

package child

import "syscall"

// background lowers nothing here: on other systems a thread has no priority of its own.
type background struct{}

func (background) Enter(*syscall.SysProcAttr) error { return nil }

func lowerAutogroup(int, <-chan struct{}) {}
