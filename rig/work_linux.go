package rig

import (
	"fmt"
	"os"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Work runs f and returns how often this process called read(2) meanwhile, and how often it listed
// one of folders. The calls of other goroutines count too.
func Work(t testing.TB, f func(), folders ...string) (reads, listings int) {
	t.Helper()
	inotify, err := unix.InotifyInit1(unix.IN_NONBLOCK | unix.IN_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(inotify)
	for _, dir := range folders {
		if _, err := unix.InotifyAddWatch(inotify, dir, unix.IN_ACCESS|unix.IN_ONLYDIR); err != nil {
			t.Fatal(err)
		}
	}
	before := readCalls(t)
	f()
	reads = readCalls(t) - before
	buf := make([]byte, 64<<10)
	for {
		n, err := unix.Read(inotify, buf)
		if err != nil || n <= 0 {
			return reads, listings
		}
		for at := 0; at < n; {
			e := (*unix.InotifyEvent)(unsafe.Pointer(&buf[at]))
			if e.Len == 0 { // the folder itself, not an entry of it
				listings++
			}
			at += unix.SizeofInotifyEvent + int(e.Len)
		}
	}
}

// readCalls returns how often this process has called read(2) and similar (syscr in proc(5)).
func readCalls(t testing.TB) (n int) {
	t.Helper()
	content, err := os.ReadFile("/proc/self/io")
	if err != nil {
		t.Fatal(err)
	}
	var bytes, written int
	if _, err := fmt.Sscanf(string(content), "rchar: %d\nwchar: %d\nsyscr: %d", &bytes, &written, &n); err != nil {
		t.Fatal(err)
	}
	return n
}
