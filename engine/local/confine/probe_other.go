//go:build !linux

package confine

// Probe finds nothing here.
func Probe(string, ...string) Isolation { return Isolation{Missing: "needs Linux"} }
