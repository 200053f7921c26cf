package watch

import (
	"slices"

	"golang.org/x/sys/unix"
)

// The kernel tells of its own writes only. These file systems have others write to them: the
// server, other clients, the machine that a virtual one runs on.
var shared = []uint32{
	unix.NFS_SUPER_MAGIC, unix.V9FS_MAGIC, unix.SMB_SUPER_MAGIC, unix.CIFS_SUPER_MAGIC, unix.SMB2_SUPER_MAGIC,
	unix.FUSE_SUPER_MAGIC, unix.CEPH_SUPER_MAGIC, unix.AFS_SUPER_MAGIC, unix.CODA_SUPER_MAGIC,
	0x786f4256, // VirtualBox's vboxsf
	0x7c7c6673, // Parallels' prl_fs
}

// othersWrite says whether files at path change without an event.
func othersWrite(path string) bool {
	var st unix.Statfs_t
	return unix.Statfs(path, &st) == nil && slices.Contains(shared, uint32(st.Type))
}

// haveEvents says whether the system can watch a tree at a descriptor for all of it.
const haveEvents = true
