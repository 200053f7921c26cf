package deploy

import (
	"fmt"
	"math"

	"paas/say"
	"paas/volume"
)

// DiskSpace is the free disk space that a deploy needs. Checked before anything is written, it
// refuses in clear words a deploy that may fail half-way: in a build, whose tools report a full
// disk each in their own way, or by filling the disk for other apps.
type DiskSpace struct {
	MinFree int64 // bytes that must be free; 0: nothing is refused
}

const (
	// timesTree is how many times the size of its commit a build needs: for itself, what is
	// installed and what is compiled.
	timesTree    = 3
	minFreeFiles = 2000 // files and folders that any deploy may need
)

// Check returns an error that explains why v has no space for a commit of so many bytes and files.
// Use zeros for a commit that is not known yet, or for a deploy without new files.
func (s DiskSpace) Check(v *volume.Volume, bytes int64, files int) error {
	if s.MinFree == 0 {
		return nil
	}
	disk, err := v.Disk()
	if err != nil {
		return err
	}
	return s.on(disk, bytes, files)
}

func (s DiskSpace) on(d volume.Disk, bytes int64, files int) error {
	want := s.MinFree
	if bytes > math.MaxInt64/timesTree {
		want = math.MaxInt64
	}
	want = max(want, timesTree*bytes)
	if d.Free < want {
		return fullSoon(
			"the server's disk has %s free of %s, and this deploy wants %s "+
				"(what the server keeps free, or %d times the commit)",
			say.Bytes(d.Free), say.Bytes(d.Size), say.Limit(want), timesTree,
		)
	}
	if wantFiles := max(minFreeFiles, timesTree*int64(files)); d.FreeFilesCounts &&
		d.FreeFiles < wantFiles {
		return fullSoon(
			"the server's disk takes only %d more files, and this deploy wants %d "+
				"(its inodes run out: df -i)",
			d.FreeFiles, wantFiles,
		)
	}
	return nil
}

// fullSoon is the problem of a disk that a deploy would fill.
func fullSoon(format string, args ...any) error {
	return &volume.Problem{
		Err:    fmt.Errorf(format, args...),
		Remedy: volume.Remedy{Do: volume.FreeDisk},
	}
}
