package main

import (
	"log/slog"
	"os"
	"runtime/debug"

	"github.com/KimMachineGun/automemlimit/memlimit"
)

// limitMemory makes the garbage collector work harder once the server uses a quarter of the memory
// that its control group or the machine has: the rest is for the apps. It is at least 64 MiB, for
// below that the collector would do little else. A GOMEMLIMIT in the environment wins.
func limitMemory(log *slog.Logger) {
	if os.Getenv("GOMEMLIMIT") != "" {
		return
	}
	total, err := memory(memlimit.FromCgroup, memlimit.FromSystem)
	if err != nil {
		log.Warn("cannot find out how much memory there is", "err", err)
		return
	}
	debug.SetMemoryLimit(max(total/4, 64<<20))
}

// memory returns the least that one of the sources says, in bytes. Its error is the last one's, if
// none says anything.
func memory(sources ...memlimit.Provider) (least int64, err error) {
	for _, source := range sources {
		n, sourceErr := source()
		switch {
		case sourceErr != nil && least == 0:
			err = sourceErr
		case sourceErr == nil && (least == 0 || int64(n) < least):
			least, err = int64(n), nil
		}
	}
	return least, err
}
