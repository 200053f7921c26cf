package child

import (
	"bytes"
	"fmt"
	"os"
)

// CapsMemory says whether [Command].MaxMemory is heeded on this system.
const CapsMemory = true

// memory is how many bytes of memory family uses. What each has resident is cheap to ask and counts
// what they share several times; so only where that is above enough is each asked for its proportional
// share (proc_pid_smaps(5)), for which the kernel walks through all of its pages.
func memory(family []relative, enough int64) int64 {
	var resident int64
	for _, p := range family {
		resident += p.resident()
	}
	if resident <= enough {
		return resident
	}
	var shares int64
	for _, p := range family {
		shares += p.proportional()
	}
	return shares
}

// resident is what the process has in memory, libraries and files included, in bytes; 0 once it is gone.
func (p relative) resident() int64 {
	var size, resident int64
	content, err := os.ReadFile(procPath(p.pid, "statm"))
	if err != nil {
		return 0
	}
	fmt.Sscan(string(content), &size, &resident)
	return resident * int64(os.Getpagesize())
}

// proportional is the process's share of what it has in memory; all of it where the kernel does not say.
func (p relative) proportional() (sum int64) {
	content, err := os.ReadFile(procPath(p.pid, "smaps_rollup"))
	if err != nil {
		return p.resident()
	}
	for line := range bytes.Lines(content) {
		var kilobytes int64
		if _, err := fmt.Sscanf(string(line), "Pss: %d kB", &kilobytes); err == nil {
			return kilobytes << 10
		}
	}
	return p.resident()
}
