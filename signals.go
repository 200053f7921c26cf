package main

import (
	"os"
	"os/signal"
	"sync"
	"syscall"
)

// ending are the signals that end a command in good order. One that is ignored already stays so:
// nohup asks for that.
var ending = sync.OnceValue(func() []os.Signal {
	signals := []os.Signal{syscall.SIGTERM}
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGHUP} {
		if !signal.Ignored(s) {
			signals = append(signals, s)
		}
	}
	return signals
})

// resetForChildren makes signals that this process was started to ignore, as by nohup or & in a script,
// have their default effect in every process it starts: execve(2) passes on what is ignored, and a shell
// cannot even trap it. A caught signal is not passed on. This process still ignores them: nobody reads
// the channel. Call it after [ending].
func resetForChildren() {
	if ignored := ignoredSignals(); len(ignored) > 0 {
		signal.Notify(make(chan os.Signal, 1), ignored...)
	}
}
