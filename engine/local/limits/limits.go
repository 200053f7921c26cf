package limits

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"syscall"
)

// Limits limit a command together with everything that it starts. 0 means no limit.
type Limits struct {
	Memory    int64   // bytes, including swap
	CPU       float64 // cores
	Processes int     // and threads
}

// Limiter makes groups of processes that the kernel limits.
type Limiter interface {
	// Group makes a group with those of the limits that Holds returns. The name is for people:
	// without a slash or line end.
	Group(name string, l Limits) (Group, error)

	// Holds returns the limits that can be enforced; the others are 0.
	Holds(Limits) Limits

	// Lowers reports whether a group is worth making for [Group.Lower] alone. In version 1 it is
	// not: nice(2) does as well, and entering a group takes the kernel milliseconds.
	Lowers() bool

	// Close kills what is in the remaining groups and removes them.
	Close() error

	String() string // its kind: "cgroup v1"; empty: it enforces nothing
}

// Group is a control group. It is also a child.Confinement.
type Group interface {
	// Enter makes the calling thread start processes in the group, through attr or until Leave.
	Enter(attr *syscall.SysProcAttr) error

	// Leave moves the calling thread out again.
	Leave()

	// Take moves a process that has not begun to run into the group.
	Take(pid int) error

	// Lower gives the group a tenth of the default weight at processors and disks, as far as the
	// kernel has weights. It still gets everything that nobody else needs.
	Lower() error

	// Overused reports whether a process of the group was killed because the group's memory was
	// used up, and the bytes that it used at most and may use.
	Overused() (used, max int64, over bool)

	// Close kills what is in the group and removes it. It blocks until that is done, at most 10 s.
	Close() error
}

// Describe describes in one line how l limits processes. watchesMemory: memory is polled if l
// cannot limit it.
func Describe(l Limiter, watchesMemory bool) string {
	can := l.Holds(Limits{1, 1, 1})
	var by, none []string
	for _, limit := range []struct {
		names, name string
		can         bool
	}{
		{"memory", "memory", can.Memory != 0},
		{"cpu", "cpu", can.CPU != 0},
		{"processes", "process", can.Processes != 0},
	} {
		if limit.can {
			by = append(by, limit.names)
		} else {
			none = append(none, limit.name)
		}
	}
	var parts []string
	switch {
	case len(none) == 0:
		return "limits by " + l.String()
	case len(by) > 0:
		parts = append(parts, fmt.Sprintf("limits by %s for %s", l, strings.Join(by, " and ")))
	}
	if at := slices.Index(none, "memory"); at >= 0 && watchesMemory {
		parts = append(parts, "memory limits by polling")
		none = slices.Delete(none, at, at+1)
	}
	if len(parts) == 0 {
		return "no limits on this system"
	}
	if len(none) > 0 {
		parts = append(parts, "no "+strings.Join(none, " or ")+" limits")
	}
	return strings.Join(parts, "; ")
}

// folderName returns the name of the folder with the groups of the server on root.
func folderName(root string) string {
	sum := sha256.Sum256([]byte(root))
	return "paas-" + hex.EncodeToString(sum[:6])
}

// none enforces nothing.
type none struct{}

func (none) Group(string, Limits) (Group, error) { return nil, syscall.ENOSYS }
func (none) Holds(Limits) Limits                 { return Limits{} }
func (none) Lowers() bool                        { return false }
func (none) Close() error                        { return nil }
func (none) String() string                      { return "" }
