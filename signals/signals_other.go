//go:build !linux

package signals

import (
	"os"
	"os/signal"
	"slices"
	"syscall"
)

func ignored() []os.Signal {
	all := []os.Signal{syscall.SIGHUP, syscall.SIGINT, syscall.SIGQUIT, syscall.SIGTSTP}
	return slices.DeleteFunc(all, func(s os.Signal) bool { return !signal.Ignored(s) })
}

func Unblock() {}
