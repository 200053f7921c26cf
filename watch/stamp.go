package watch

import "golang.org/x/sys/unix"

// stamp identifies a version of a file. It has neither the mode nor the time of its last change,
// because a chmod does not count.
type stamp struct {
	modified int64 // ns since 1970
	size     int64
	inode    uint64
	kind     uint32 // S_IFMT bits of the mode
}

// stampAt returns the stamp of name in the folder dir, without following links. dir may be
// unix.AT_FDCWD.
func stampAt(dir int, name string) (stamp, error) {
	var st unix.Stat_t
	for {
		err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW)
		if err == unix.EINTR {
			continue
		}
		return stamp{modified: st.Mtim.Nano(), size: st.Size, inode: st.Ino,
			kind: uint32(st.Mode) & unix.S_IFMT}, err
	}
}

func (s stamp) isFolder() bool { return s.kind == unix.S_IFDIR }

// isFile reports whether it is a regular file or a link, and not a socket, pipe or device.
func (s stamp) isFile() bool { return s.kind == unix.S_IFREG || s.kind == unix.S_IFLNK }
