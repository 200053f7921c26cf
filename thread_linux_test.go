package main

import (
	"os"
	"runtime"
	"sync"
	"testing"

	"golang.org/x/sys/unix"
)

// No goroutine may be locked to the process's first thread. Landlock and /proc take that thread for
// the whole process, so an app started from it, under its confinement, could read the server's
// environment and memory. The soak found this.
func TestFirstThreadStaysFree(t *testing.T) {
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
