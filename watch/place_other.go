//go:build !linux

package watch

func othersWrite(string) bool { return false }

// haveEvents is false: kqueue keeps a descriptor open for each file of a tree.
const haveEvents = false
