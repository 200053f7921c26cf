//go:build !linux

package nice

// Process does nothing here: a thread has no priority of its own.
func Process(pid, value int) {}

// Group does nothing here.
func Group(pid, value int) {}

// Session does nothing here.
func Session(pid, value int, done <-chan struct{}) {}
