//go:build !linux

package runtime

// listening is not to be found out here.
func listening(int) []string { return nil }
