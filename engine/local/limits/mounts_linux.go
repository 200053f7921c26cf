package limits

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// hierarchy is one mounted tree of control groups.
type hierarchy struct {
	top         string   // its mount point
	own         string   // the folder of this process's group; top if that is not below it
	v2          bool     // version 2
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

// unescape undoes the escaping of spaces and the like in mountinfo.
func unescape(path string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(path)
}

// Open returns the limiter of this machine. It removes the groups that an earlier run of the server
// on root has left, and kills what is in them. It may move this process into its own group, so call
// it before anything is started.
func Open(root string) Limiter {
	mountinfo, err := os.ReadFile("/proc/self/mountinfo")
	groups, groupsErr := os.ReadFile("/proc/self/cgroup")
	if err != nil || groupsErr != nil {
		return none{}
	}
	all := hierarchies(string(mountinfo), string(groups))
	// a hybrid machine has both, with most controllers in version 1
	if l := openV2(all, folderName(root)); l != nil {
		return l
	}
	if l := openV1(all, folderName(root)); l != nil {
		return l
	}
	return none{}
}
