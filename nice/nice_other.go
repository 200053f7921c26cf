//go:build !linux

package nice

// Own returns 0 here.
func Own() int { return 0 }

// Group does nothing here.
func Group(pid, value int) {}

// Threads does nothing here.
func Threads(pid, value int) {}

// Session does nothing here.
func Session(pid, value int, done <-chan struct{}) {}
