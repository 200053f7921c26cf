package watch

import "golang.org/x/sys/unix"

// stamp is what tells one state of a file from another. The time of the last change of attributes
// is not in it, nor are they: a chmod is no change.
type stamp struct {
	modified int64 // ns since 1970
	size     int64
	inode    uint64
	kind     uint32 // S_IFMT of its mode
}

// stampAt looks at name in the folder open at dir, or with unix.AT_FDCWD at the path, and does not
// follow a link.
func stampAt(dir int, name string) (stamp, error) {
	var st unix.Stat_t
	for {
		err := unix.Fstatat(dir, name, &st, unix.AT_SYMLINK_NOFOLLOW)
		if err == unix.EINTR {
			continue
		}
		return stamp{
			modified: st.Mtim.Nano(),
			size:     st.Size,
			inode:    st.Ino,
			kind:     uint32(st.Mode) & unix.S_IFMT,
		}, err
	}
}

func (s stamp) isFolder() bool { return s.kind == unix.S_IFDIR }

// isFile says whether it is something that people edit: no socket, pipe or device.
func (s stamp) isFile() bool { return s.kind == unix.S_IFREG || s.kind == unix.S_IFLNK }
