package volume

import (
	"fmt"
	"syscall"
)

// Disk is the free space of a file system.
type Disk struct {
	Free, Size      int64 // bytes; Free is what users other than root may use
	FreeFiles       int64 // how many more files fit
	FreeFilesCounts bool  // false if the file system has no such limit
}

// Disk returns the free space of the volume's file system.
func (v *Volume) Disk() (Disk, error) {
	var fs syscall.Statfs_t
	if err := syscall.Statfs(v.Root, &fs); err != nil {
		return Disk{}, fmt.Errorf("statfs %s: %w", v.Root, err)
	}
	block := int64(fs.Bsize)
	return Disk{
		Free: int64(fs.Bavail) * block, Size: int64(fs.Blocks) * block,
		FreeFiles: int64(fs.Ffree), FreeFilesCounts: fs.Files > 0,
	}, nil
}
