package limits

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// hierarchy is one tree of control groups as it is mounted here.
type hierarchy struct {
	top         string   // where it is mounted
	own         string   // the folder of the group that this process is in; top where that is not below it
	two         bool     // version 2
	controllers []string // of version 1
}

// hierarchies reads the mounts (proc_pid_mountinfo(5)) and the groups (cgroups(7)) of a process.
func hierarchies(mountinfo, groups string) (all []hierarchy) {
	for line := range strings.Lines(mountinfo) {
		before, after, ok := strings.Cut(line, " - ")
		fields, system := strings.Fields(before), strings.Fields(after)
		if !ok || len(fields) < 5 || len(system) < 3 {
			continue
		}
		h := hierarchy{top: unescape(fields[4]), two: system[0] == "cgroup2"}
		if !h.two && system[0] != "cgroup" {
			continue
		}
		if !h.two {
			h.controllers = strings.Split(system[2], ",")
		}
		h.own = h.top
		for group := range strings.Lines(groups) {
			parts := strings.SplitN(strings.TrimSuffix(group, "\n"), ":", 3)
			if len(parts) < 3 {
				continue
			}
			mine := h.two && parts[0] == "0" || !h.two && parts[1] != "" && slices.Contains(h.controllers, strings.Split(parts[1], ",")[0])
			seen := unescape(fields[3]) // the group that is seen as the top: in a container not the real one
			if path, err := filepath.Rel(seen, parts[2]); mine && err == nil && filepath.IsLocal(path) && !strings.HasPrefix(parts[2], "/..") {
				h.own = filepath.Join(h.top, path)
			}
		}
		all = append(all, h)
	}
	return all
}

// unescape undoes what the kernel does to spaces and the like in mountinfo.
func unescape(path string) string {
	return strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`).Replace(path)
}

// Open finds out how this machine holds processes to limits, and takes away the groups that an earlier life
// of the server on root has left, with what is in them. It may move this process into a group of its own, so it
// comes before anything is started.
func Open(root string) Limiter {
	mountinfo, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return none{}
	}
	groups, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return none{}
	}
	all := hierarchies(string(mountinfo), string(groups))
	// Where both are there, as on a hybrid machine, the controllers are mostly in version 1.
	if l := openTwo(all, folderName(root)); l != nil {
		return l
	}
	if l := openOne(all, folderName(root)); l != nil {
		return l
	}
	return none{}
}
