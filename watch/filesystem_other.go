//go:build !linux

package watch

func isShared(string) bool { return false }

// haveEvents is false because kqueue needs a descriptor for each file.
const haveEvents = false
