package watch

import (
	"slices"

	"golang.org/x/sys/unix"
)

// The kernel reports only its own writes. Files on these file systems are also written by servers,
// other clients or the host of a virtual machine.
var sharedFilesystems = []uint32{
	unix.NFS_SUPER_MAGIC, unix.V9FS_MAGIC, unix.SMB_SUPER_MAGIC, unix.CIFS_SUPER_MAGIC,
	unix.SMB2_SUPER_MAGIC, unix.FUSE_SUPER_MAGIC, unix.CEPH_SUPER_MAGIC, unix.AFS_SUPER_MAGIC,
	unix.CODA_SUPER_MAGIC,
	0x786f4256, // VirtualBox's vboxsf
	0x7c7c6673, // Parallels' prl_fs
}

// isShared reports whether files at path may change without an event.
func isShared(path string) bool {
	var st unix.Statfs_t
	return unix.Statfs(path, &st) == nil && slices.Contains(sharedFilesystems, uint32(st.Type))
}

// haveEvents reports whether the system can watch a tree without a descriptor for each file.
const haveEvents = true
