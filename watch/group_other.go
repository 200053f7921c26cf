//go:build !linux

package watch

import "os/exec"

func startCommand(cmd *exec.Cmd) error { return cmd.Start() }

// Elsewhere only the system's first process reaps orphans.
func becomeSubreaper() {}
func reap(int)         {}

// strays finds nothing: children that have left the group are not ended.
func strays(int) []int { return nil }
