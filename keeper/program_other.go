//go:build !linux

package keeper

import (
	"os"
	"syscall"
)

// running opens the program of this process, whose path is path.
func running(path string) (*os.File, error) { return open(path) }

// open opens a program for [runnable].
func open(path string) (*os.File, error) { return os.Open(path) }

// runnable returns the path of a program.
func runnable(f *os.File) string { return f.Name() }

// ownSession keeps a terminal's signals from a server.
func ownSession() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }
