//go:build !linux

package child

// CapsMemory reports whether [Command].MaxMemory has an effect on this system.
const CapsMemory = false

func memory([]process, int64) int64 { return 0 }
