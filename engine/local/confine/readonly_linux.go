package confine

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"golang.org/x/sys/unix"
)

// makeReadOnly makes everything read-only except the box's own folders, and mounts the sandbox's
// own /proc. An app with the server's user could otherwise change the mode and times of all that
// user's files.
func (b *Box) makeReadOnly(shown []*bindMount, proc *bindMount) error {
	readOnly := unix.MountAttr{Attr_set: unix.MOUNT_ATTR_RDONLY}
	if err := unix.MountSetattr(unix.AT_FDCWD, "/", unix.AT_RECURSIVE, &readOnly); err != nil {
		return fmt.Errorf("mount / read-only: %w", err)
	}
	writable := slices.Clone(privateFolders)
	for _, w := range shown {
		if w.writable {
			writable = append(writable, w.path)
		}
	}
	readWrite := unix.MountAttr{Attr_clr: unix.MOUNT_ATTR_RDONLY}
	for _, path := range writable {
		err := unix.MountSetattr(unix.AT_FDCWD, path, 0, &readWrite)
		if err != nil && err != unix.ENOENT {
			return fmt.Errorf("mount %s: %w", path, err)
		}
	}
	return proc.bind()
}

// reachableSockets lists the Unix sockets that this user could connect to outside of what is
// covered and what the box lists, such as a database's that authenticates by user. Connecting needs
// write permission on the socket, and a read-only mount does not prevent it (unix(7)).
func (b *Box) reachableSockets(covered []string) (list []string) {
	table, err := os.ReadFile("/proc/net/unix")
	if err != nil {
		return nil
	}
	allowed := slices.Concat(covered, privateFolders, b.Read, b.Write)
	for line := range strings.Lines(string(table)) {
		fields := strings.Fields(line) // proc_pid_net(5)
		if len(fields) < 8 || !strings.HasPrefix(fields[7], "/") {
			continue
		}
		path := strings.Join(fields[7:], " ")
		isIn := func(dir string) bool { return below(path, dir) }
		if !slices.ContainsFunc(allowed, isIn) && unix.Access(path, unix.W_OK) == nil {
			list = append(list, path)
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}
