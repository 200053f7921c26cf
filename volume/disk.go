package volume

import (
	"fmt"
	"syscall"
)

// Disk is how much room a file system has.
type Disk struct {
	Free, Size      int64 // bytes; Free is what one who is not root may use
	FreeFiles       int64 // how many files more it takes
	FreeFilesCounts bool  // false where it knows no such limit
}

// Disk asks the file system that the volume is on.
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
