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
	const advice = "Make room on it: destroy apps that nobody needs, keep fewer builds (PAAS_KEEP_BUILDS), " +
		"look into data/ and cache/ of the others"
	want := s.MinFree
	if bytes > math.MaxInt64/timesTree {
		want = math.MaxInt64
	}
	want = max(want, timesTree*bytes)
	if d.Free < want {
		return fmt.Errorf(
			"the server's disk has %s free of %s, and this deploy wants %s "+
				"(PAAS_MIN_FREE, or %d times the commit). %s",
			say.Bytes(d.Free), say.Bytes(d.Size), say.Limit(want), timesTree, advice,
		)
	}
	if wantFiles := max(minFreeFiles, timesTree*int64(files)); d.FreeFilesCounts &&
		d.FreeFiles < wantFiles {
		return fmt.Errorf(
			"the server's disk takes only %d more files, and this deploy wants %d "+
				"(its inodes run out: df -i). %s",
			d.FreeFiles, wantFiles, advice,
		)
	}
	return nil
}
