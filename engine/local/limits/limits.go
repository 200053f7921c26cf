package limits

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"syscall"
)

// Limits are what a process may use with everything it starts in turn; 0: no limit.
type Limits struct {
	Memory    int64   // bytes, swap included
	CPU       float64 // of one core
	Processes int     // threads count too
}

// Limiter makes groups of processes that the kernel holds to limits.
type Limiter interface {
	// Group makes a group that holds what goes into it to l, as far as Holds says. The name is for people:
	// no slash and no line end.
	Group(name string, l Limits) (Group, error)

	// Holds are those of the limits that are held; the others are 0.
	Holds(Limits) Limits

	// Lowers says whether a group is worth having for [Group.Lower] alone. In version 1 it is not: there
	// nice(2) does as well, and to enter a group takes the kernel milliseconds.
	Lowers() bool

	// Close takes away whatever groups are left, having killed what is in them.
	Close() error

	String() string // which kind it is: "cgroup v1"; empty: it holds nothing
}

// Group is one group. It is a confinement as package child has them.
type Group interface {
	// Enter has what the calling thread starts from now on born in the group, by attr or until Leave.
	Enter(attr *syscall.SysProcAttr) error

	// Leave takes the calling thread out again.
	Leave()

	// Take moves a process into the group that has not begun to run.
	Take(pid int) error

	// Lower gives the group a tenth of the usual weight at processors and disks, as far as the kernel has
	// weights: it has all that nobody else wants.
	Lower() error

	// Overused says whether a process of the group was killed since there was no more memory for it, how much
	// the group used at most, and how much it may, in bytes.
	Overused() (used, max int64, over bool)

	// Close kills what is in the group, and takes it away. It blocks until that is done, 10 s at most.
	Close() error
}

// Describe says in one line what l keeps processes to.
func Describe(l Limiter, watchesMemory bool) string {
	held := l.Holds(Limits{1, 1, 1})
	var by, none []string
	for _, limit := range []struct {
		name string
		held bool
	}{{"memory", held.Memory != 0}, {"cpu", held.CPU != 0}, {"processes", held.Processes != 0}} {
		if limit.held {
			by = append(by, limit.name)
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
		parts = append(parts, "memory limits by looking at it")
		none = slices.Delete(none, at, at+1)
	}
	if len(parts) == 0 {
		return "no limits on this system"
	}
	if len(none) > 0 {
		parts = append(parts, "none for "+strings.Join(none, " and "))
	}
	return strings.Join(parts, "; ")
}

// folderName is what the folder of the groups of the server on root is called, among those of others.
func folderName(root string) string {
	sum := sha256.Sum256([]byte(root))
	return "paas-" + hex.EncodeToString(sum[:6])
}

// none holds nothing.
type none struct{}

func (none) Group(string, Limits) (Group, error) { return nil, syscall.ENOSYS }
func (none) Holds(Limits) Limits                 { return Limits{} }
func (none) Lowers() bool                        { return false }
func (none) Close() error                        { return nil }
func (none) String() string                      { return "" }
