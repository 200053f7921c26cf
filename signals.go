package main

import (
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// ending returns the signals that end a command in order. Signals that this process was started to
// ignore, as by nohup, stay ignored.
var ending = sync.OnceValue(func() []os.Signal {
	signals := []os.Signal{syscall.SIGTERM}
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGHUP} {
		if !signal.Ignored(s) {
			signals = append(signals, s)
		}
	}
	return signals
})

// resetForChildren gives every process that this one starts the default handling of the signals
// that this process was started to ignore, as by nohup or by & in a script. execve(2) passes
// ignored signals on, and a shell cannot even trap them; caught signals are not passed on. This
// process still ignores them, because nobody reads the channel. Call resetForChildren after
// [ending].
func resetForChildren() {
	if ignored := ignoredSignals(); len(ignored) > 0 {
		signal.Notify(make(chan os.Signal, 1), ignored...)
	}
}
