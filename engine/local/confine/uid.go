package confine

import (
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// UIDInUse reports whether the machine has a user or group with this id, or a process that runs as
// it, such as one of another server or one that an app left behind. An app with the same id would
// share its files and visitors.
func UIDInUse(uid int) bool {
	id := strconv.Itoa(uid)
	if _, err := user.LookupId(id); err == nil {
		return true
	}
	if _, err := user.LookupGroupId(id); err == nil {
		return true
	}
	// Empty on systems other than Linux, where apps have no users of their own.
	processes, _ := filepath.Glob("/proc/[0-9]*")
	for _, path := range processes {
		info, err := os.Lstat(path)
		if err != nil {
			continue // the process has ended
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Uid == uint32(uid) {
			return true
		}
	}
	return false
}
