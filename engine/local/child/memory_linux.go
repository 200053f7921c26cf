package child

import (
	"bytes"
	"fmt"
	"os"
)

// CapsMemory reports whether [Command].MaxMemory has an effect on this system.
const CapsMemory = true

// memory returns the bytes of memory that processes use. Resident memory is cheap to read but
// counts shared pages several times. Only if its sum exceeds enough does memory ask for
// proportional shares (proc_pid_smaps(5)), for which the kernel walks through all pages.
func memory(processes []process, enough int64) int64 {
	var resident int64
	for _, p := range processes {
		resident += p.resident()
	}
	if resident <= enough {
		return resident
	}
	var shares int64
	for _, p := range processes {
		shares += p.proportional()
	}
	return shares
}

// resident returns the bytes of a process in memory, including libraries and files; 0 once it is
// gone.
func (p process) resident() int64 {
	var size, resident int64
	content, err := os.ReadFile(procPath(p.pid, "statm"))
	if err != nil {
		return 0
	}
	fmt.Sscan(string(content), &size, &resident)
	return resident * int64(os.Getpagesize())
}

// proportional returns the process's share of its memory, or all of it if the kernel does not say.
func (p process) proportional() (sum int64) {
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
