//go:build !linux

package main

import (
	"os"
	"os/signal"
	"slices"
	"syscall"
)

func ignoredSignals() []os.Signal {
	all := []os.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTSTP}
	return slices.DeleteFunc(all, func(s os.Signal) bool { return !signal.Ignored(s) })
}

func unblockSignals() {}
