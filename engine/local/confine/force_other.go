//go:build !linux

package confine

// Probe finds out what the server can put in force: on this system nothing.
func Probe(string, ...string) Force { return Force{Missing: "only Linux has what it takes"} }
