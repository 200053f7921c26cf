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

// parseSize reads a number of bytes with a unit; without one, n is the number.
func parseSize(s string) (n float64, unit, ok bool) {
	parts := memorySize.FindStringSubmatch(strings.ToLower(s))
	if parts == nil {
		return 0, false, false
	}
	n, _ = strconv.ParseFloat(parts[1], 64) // too large is +Inf
	if parts[2] == "" {
		return n, false, true
	}
	return n * float64(int64(1)<<(10*(1+strings.Index("kmgt", parts[2])))), true, true
}

// parseMemory reads a size in bytes as people write it: 256M, 256m, 256MB and 256MiB are the same
// here, as they are to docker.
func parseMemory(s string) (int64, error) {
	n, unit, ok := parseSize(s)
	if !ok {
		return 0, fmt.Errorf("memory is a size such as 256M or 1.5G, not %q", s)
	}
	if !unit {
		return 0, fmt.Errorf("memory=%s has no unit; write memory=%sM for %s MB", s, s, s)
	}
	if n < minMemory || n > maxMemory {
		return 0, fmt.Errorf("memory is from %s to %s, not %s",
			memoryText(minMemory), memoryText(maxMemory), s)
	}
	return int64(n) &^ 4095, nil // whole pages, as the kernel counts
}

const minBody = 1 << 10 // bytes

// parseMaxBody reads how many bytes the body of a request may have; off is 0, any number.
func parseMaxBody(s string) (int64, error) {
	if s == "off" {
		return 0, nil
	}
	n, unit, ok := parseSize(s)
	if !ok || !unit {
		return 0, fmt.Errorf("max-body is a size such as 500K, 10M or 1G, or off, not %q", plain(s))
	}
	if n < minBody || n > maxMemory {
		return 0, fmt.Errorf("max-body is from 1K to 1T, or off, not %s", plain(s))
	}
	return int64(n), nil
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

// sizeOrOff is a size as [parseMaxBody] reads it.
func sizeOrOff(bytes int64) string {
	if bytes == 0 {
		return "off"
	}
	return memoryText(bytes)
}
