//go:build !linux

package durable

import "golang.org/x/sys/unix"

// Flush puts everything written on disk.
func Flush(string) error { return unix.Sync() }
