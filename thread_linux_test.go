package main

import (
	"os"
	"runtime"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// The process's first thread stands for all of it in /proc and to Landlock: an app that was born of it, under its
// confinement, could read the server's environment and memory. Found by the soak.
func TestFirstThreadIsNobodys(t *testing.T) {
	var threads sync.WaitGroup
	for range 2000 {
		threads.Go(func() {
			runtime.LockOSThread()
			defer runtime.UnlockOSThread()
			if unix.Gettid() == os.Getpid() {
				t.Error("a goroutine was locked to the first thread")
			}
		})
		runtime.Gosched()
	}
	threads.Wait()
}
