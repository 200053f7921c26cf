package limits

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// hierarchy is one mounted tree of control groups.
type hierarchy struct {
	top         string   // its mount point
	own         string   // the folder of this process's group; top if that is not below it
	v2          bool     // version 2
	leaf        bool     // this process is in a leaf below own
	controllers []string // of version 1
}

// hierarchies parses the mounts (proc_pid_mountinfo(5)) and groups (cgroups(7)) of a process.
func hierarchies(mountinfo, groups string) (all []hierarchy) {
	for line := range strings.Lines(mountinfo) {
		before, after, ok := strings.Cut(line, " - ")
		fields, system := strings.Fields(before), strings.Fields(after)
		if !ok || len(fields) < 5 || len(system) < 3 {
			continue
		}
		h := hierarchy{top: unescape(fields[4]), v2: system[0] == "cgroup2"}
		if !h.v2 && system[0] != "cgroup" {
			continue
		}
		if !h.v2 {
			h.controllers = strings.Split(system[2], ",")
		}
		h.own = h.top
		for group := range strings.Lines(groups) {
			parts := strings.SplitN(strings.TrimSuffix(group, "\n"), ":", 3)
			if len(parts) < 3 || h.v2 != (parts[0] == "0") {
				continue
			}
			if !h.v2 && !slices.Contains(h.controllers, strings.Split(parts[1], ",")[0]) {
				continue
			}
			// the group at the mount point: in a container not the real top
			root := unescape(fields[3])
			path, err := filepath.Rel(root, parts[2])
			if err == nil && filepath.IsLocal(path) && !strings.HasPrefix(parts[2], "/..") {
				h.own = filepath.Join(h.top, path)
			}
		}
		all = append(all, h)
	}
	return all
}

// leaveLeaf makes own the group above, if this process is in the leaf of its parent, which runs the
// apps: groups can be made beside that, not in it (see openV2At).
func (h *hierarchy) leaveLeaf(name string) {
	if h.v2 && filepath.Base(h.own) == name+leafSuffix {
		h.own = filepath.Dir(h.own)
		h.leaf = true
	}
}

// removeStale removes the groups of earlier processes beside, which were killed.
func removeStale(all []hierarchy, name string) {
	for _, h := range all {
		groups, _ := filepath.Glob(filepath.Join(h.own, name+"-*"))
		for _, path := range groups {
			pid, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(path), name+"-"))
			if err == nil && unix.Kill(pid, 0) == unix.ESRCH {
				folder(path).empty(os.Remove)
			}
		}
	}
}

// unescape undoes the escaping of spaces and the like in mountinfo.
func unescape(path string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(path)
}

// Open returns the limiter of this machine. It removes the groups that an earlier run of the server
// on root has left, and kills what is in them. It may move this process into its own group, so call
// it before anything is started.
//
// beside is for a process that does not run the apps of root, beside the one that does: its groups
// are beside the others, and have its process id in their name.
func Open(root string, beside bool) Limiter {
	mountinfo, err := os.ReadFile("/proc/self/mountinfo")
	groups, groupsErr := os.ReadFile("/proc/self/cgroup")
	if err != nil || groupsErr != nil {
		return none{}
	}
	all := hierarchies(string(mountinfo), string(groups))
	name := folderName(root)
	if beside {
		for i := range all {
			all[i].leaveLeaf(name)
		}
		removeStale(all, name)
		name += "-" + strconv.Itoa(os.Getpid())
	}
	// a hybrid machine has both, with most controllers in version 1
	if l := openV2(all, name); l != nil {
		return l
	}
	if l := openV1(all, name); l != nil {
		return l
	}
	return none{}
}
