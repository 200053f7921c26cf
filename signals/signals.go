// Package signals gives a process and its children ordinary signals, however it was started.
package signals

import (
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// Ending returns the signals that end a command in order. Signals that this process was started to
// ignore, as by nohup, stay ignored.
var Ending = sync.OnceValue(func() []os.Signal {
	all := []os.Signal{syscall.SIGTERM}
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGHUP} {
		if !signal.Ignored(s) {
			all = append(all, s)
		}
	}
	return all
})

// ResetForChildren gives every process that this one starts the default handling of the signals
// that this process was started to ignore, as by nohup or by & in a script. execve(2) passes
// ignored signals on, and a shell cannot even trap them; caught signals are not passed on. This
// process still ignores them, because nobody reads the channel. Call ResetForChildren after
// [Ending].
func ResetForChildren() {
	if all := ignored(); len(all) > 0 {
		signal.Notify(make(chan os.Signal, 1), all...)
	}
}
