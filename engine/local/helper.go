package local

import (
	"os"

	"paas/engine/local/child"
	"paas/engine/local/confine"
)

// Helper runs what the engine starts this binary for, and reports whether args ask for that: the
// guard, or the launcher of sandboxes. main calls it first.
func Helper(args []string) bool {
	if len(args) == 3 && args[1] == "guard" {
		child.GuardMain(os.Stdin, os.Stdout, args[2])
		return true
	}
	return confine.Helper(args)
}
