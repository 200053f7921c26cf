package main

import (
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// uidInUse reports whether the machine knows a user or a group with this id, or a process runs as it: one of
// another server on this machine, or one that an app left behind. An app that was given the id would be taken for
// it, and get its files and its visitors.
func uidInUse(uid int) bool {
	id := strconv.Itoa(uid)
	if _, err := user.LookupId(id); err == nil {
		return true
	}
	if _, err := user.LookupGroupId(id); err == nil {
		return true
	}
	processes, _ := filepath.Glob("/proc/[0-9]*") // none on other systems, where apps have no users of their own
	for _, path := range processes {
		info, err := os.Lstat(path)
		if err != nil {
			continue // it has ended
		}
		if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Uid == uint32(uid) {
			return true
		}
	}
	return false
}
