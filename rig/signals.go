package rig

import (
	"os"
	"os/signal"
	"syscall"
)

// DefaultSignals gives the default signals to the processes that this one starts. Under nohup and
// in the background of a script a shell has them ignore SIGHUP or SIGINT. This process still
// ignores those: nobody reads the channel.
func DefaultSignals() {
	for _, s := range []os.Signal{syscall.SIGHUP, syscall.SIGINT} {
		if signal.Ignored(s) { // a caught signal gets its default in a child, an ignored one does not
			signal.Notify(make(chan os.Signal, 1), s)
		}
	}
}
