package confine

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// Users writes copies of /etc/passwd and /etc/group with one more user to dir, for [Box].Replace:
// programs ask for their user's name (node's os.userInfo, ssh, whoami) and fail if there is none.
// If the machine has a user of that name, the new one is app-<name>. A name that is too long for a
// user is cut and ends in a hash.
func Users(dir, name string, uid int, home string) (replace map[string]string, err error) {
	replace = map[string]string{}
	name = userName(name)
	for path, line := range map[string]string{
		"/etc/passwd": "%[1]s:x:%[2]d:%[2]d::%[3]s:/bin/sh\n", // passwd(5)
		"/etc/group":  "%[1]s:x:%[2]d:\n",                     // group(5)
	} {
		list, err := os.ReadFile(path)
		if os.IsNotExist(err) {
			continue
		}
		if err != nil {
			return nil, err
		}
		user := name
		if bytes.Contains(append([]byte("\n"), list...), []byte("\n"+name+":")) {
			user = userName("app-" + name)
		}
		if len(list) > 0 && list[len(list)-1] != '\n' {
			list = append(list, '\n')
		}
		other := filepath.Join(dir, filepath.Base(path))
		err = os.WriteFile(other, fmt.Appendf(list, line, user, uid, home), 0o644)
		if err == nil {
			err = os.Chmod(other, 0o644) // whatever the umask
		}
		if err != nil {
			return nil, err
		}
		replace[path] = other
	}
	return replace, nil
}

// longestUser is how long the name of a user can be for all programs (utmp(5)).
const longestUser = 31

// userName returns name, or if it is too long its beginning and a hash.
func userName(name string) string {
	if len(name) <= longestUser {
		return name
	}
	sum := sha256.Sum256([]byte(name))
	hash := "-" + hex.EncodeToString(sum[:4])
	return name[:longestUser-len(hash)] + hash
}

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
