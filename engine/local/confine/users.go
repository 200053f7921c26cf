package confine

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
)

// Users writes copies of /etc/passwd and /etc/group with one more user to dir, for [Box].Replace:
// programs ask for their user's name (node's os.userInfo, ssh, whoami) and fail if there is none.
// If the machine has a user of that name, the new one is app-<name>.
func Users(dir, name string, uid int, home string) (replace map[string]string, err error) {
	replace = map[string]string{}
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
			user = "app-" + name
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
