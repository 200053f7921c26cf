package command

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// The least that a program can start with, and the most that a person can mean.
const (
	minMemory, maxMemory       = 16 << 20, 1 << 40 // bytes
	minCPU                     = 0.01              // the kernel takes no quota below 1 ms
	minProcesses, maxProcesses = 5, 100_000
)

var memorySize = regexp.MustCompile(`^([0-9]+(?:\.[0-9]+)?) ?(?:([kmgt])(?:i?b)?)?$`)

// parseMemory reads a size in bytes as people write it: 256M, 256m, 256MB and 256MiB are the same
// here, as they are to docker.
func parseMemory(s string) (int64, error) {
	parts := memorySize.FindStringSubmatch(strings.ToLower(s))
	if parts == nil {
		return 0, fmt.Errorf("memory is a size such as 256M or 1.5G, not %q", s)
	}
	if parts[2] == "" {
		return 0, fmt.Errorf("memory=%s has no unit; write memory=%sM for %s MB", s, s, s)
	}
	n, _ := strconv.ParseFloat(parts[1], 64) // too large is +Inf
	n *= float64(int64(1) << (10 * (1 + strings.Index("kmgt", parts[2]))))
	if n < minMemory || n > maxMemory {
		return 0, fmt.Errorf("memory is from %s to %s, not %s",
			memoryText(minMemory), memoryText(maxMemory), s)
	}
	return int64(n) &^ 4095, nil // whole pages, as the kernel counts
}

// parseCPU reads a number of cores, at most cores.
func parseCPU(s string, cores int) (float64, error) {
	n, err := strconv.ParseFloat(s, 64)
	if err != nil {
		return 0, fmt.Errorf("cpu is a number of cores, such as 0.5 for half of one, not %q", s)
	}
	if !(n >= minCPU && n <= float64(cores)) { // NaN is neither
		return 0, fmt.Errorf("cpu is from %v to %d, the cores of this server, not %s", minCPU, cores, s)
	}
	return n, nil
}

// parseProcesses reads a number of processes.
func parseProcesses(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || s[0] == '+' {
		return 0, fmt.Errorf("processes is a number such as 100, not %q", s)
	}
	if n < minProcesses || n > maxProcesses {
		return 0, fmt.Errorf("processes is from %d to %d, threads included, not %s",
			minProcesses, maxProcesses, s)
	}
	return n, nil
}

// memoryText is a size as [parseMemory] reads it.
func memoryText(bytes int64) string {
	for at, unit := range "TGM" {
		if by := int64(1) << (40 - 10*at); bytes%by == 0 {
			return strconv.FormatInt(bytes/by, 10) + string(unit)
		}
	}
	return strconv.FormatInt(bytes>>10, 10) + "K"
}
