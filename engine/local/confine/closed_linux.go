package confine

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// closeRest makes everything read-only but what is the box's to write, and shows the sandbox's own
// /proc. An app that has the server's user could otherwise change the mode and the times of all
// files that are the user's.
func (b *Box) closeRest(shown []*window, proc *window) error {
	closed := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
	if err := unix.MountSetattr(unix.AT_FDCWD, "/", unix.AT_RECURSIVE, &closed); err != nil {
		return fmt.Errorf("mount / read-only: %w", err)
	}
	writable := slices.Clone(privateFolders)
	for _, w := range shown {
		if w.writable {
			writable = append(writable, w.path)
		}
	}
	opened := unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY}
	for _, path := range writable {
		if err := unix.MountSetattr(unix.AT_FDCWD, path, 0, &opened); err != nil && err != unix.ENOENT {
			return fmt.Errorf("mount %s: %w", path, err)
		}
	}
	return proc.bind()
}

// sockets are those that this user could connect to, beside what is covered and what the box is
// shown: a database's, say, that asks who connects. To connect takes the right to write, which a
// read-only mount leaves (unix(7)).
func (b *Box) sockets(covered []string) (list []string) {
	table, err := os.ReadFile("/proc/net/unix")
	if err != nil {
		return nil
	}
	apart := slices.Concat(covered, privateFolders, b.Read, b.Write)
	for line := range strings.Lines(string(table)) {
		fields := strings.Fields(line) // proc_pid_net(5)
		if len(fields) < 8 || !strings.HasPrefix(fields[7], "/") {
			continue
		}
		path := strings.Join(fields[7:], " ")
		isIn := func(dir string) bool { return below(path, dir) }
		if !slices.ContainsFunc(apart, isIn) && unix.Access(path, unix.W_OK) == nil {
			list = append(list, path)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}
