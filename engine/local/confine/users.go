package confine

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
)

// Users writes lists of users and groups into dir that have the machine's and one more, for [Box].Instead: programs
// ask who they are (node's os.userInfo, ssh, whoami) and give up where nobody knows. The name is another
// where the machine has one of that name: app-<name>.
func Users(dir, name string, uid int, home string) (instead map[string]string, err error) {
	instead = map[string]string{}
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
		called := name
		if bytes.Contains(append([]byte("\n"), list...), []byte("\n"+name+":")) {
			called = "app-" + name
		}
		if len(list) > 0 && list[len(list)-1] != '\n' {
			list = append(list, '\n')
		}
		other := filepath.Join(dir, filepath.Base(path))
		err = os.WriteFile(other, fmt.Appendf(list, line, called, uid, home), 0o644)
		if err == nil {
			err = os.Chmod(other, 0o644) // the umask may have taken bits away
		}
		if err != nil {
			return nil, err
		}
		instead[path] = other
	}
	return instead, nil
}
