//go:build !linux

package nice

// Process does nothing here: a thread has no priority of its own.
func Process(pid, value int) {}

// Own is not told of a thread.
func Own() int { return 0 }

// Group does nothing here.
func Group(pid, value int) {}

// Session does nothing here.
func Session(pid, value int, done <-chan struct{}) {}
