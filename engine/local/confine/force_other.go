//go:build !linux

package confine

// Probe finds nothing here.
func Probe(string, ...string) Force { return Force{Missing: "needs Linux"} }
