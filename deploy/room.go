package deploy

import (
	"fmt"
	"math"

	"paas/say"
	"paas/volume"
)

// Room is what a deploy needs of the server's disk. Asked before anything is written, it refuses with
// the figure what would else end half-way: in a build, whose tools have words of their own for a full
// disk, or in another app that wants to write meanwhile.
type Room struct {
	MinFree int64 // bytes that have to be free; 0: nothing is ever refused
}

const (
	timesTree    = 3    // what is built of a commit, in sizes of the commit: itself, what is installed, what is compiled
	minFreeFiles = 2000 // files and folders that a deploy may need of the file system, whatever is in the commit
)

// For says why there is no room on v for a commit of so many bytes and files, or nil. Zeros stand for a
// commit that is not known yet, or for no new files.
func (r Room) For(v *volume.Volume, bytes int64, files int) error {
	if r.MinFree == 0 {
		return nil
	}
	disk, err := v.Disk()
	if err != nil {
		return err
	}
	return r.on(disk, bytes, files)
}

func (r Room) on(d volume.Disk, bytes int64, files int) error {
	const advice = "Make room on it: destroy apps that nobody needs, keep fewer builds (PAAS_KEEP_BUILDS), look into data/ and cache/ of the others"
	want := r.MinFree
	if bytes > math.MaxInt64/timesTree {
		want = math.MaxInt64
	}
	want = max(want, timesTree*bytes)
	if d.Free < want {
		return fmt.Errorf("the server's disk has %s free of %s, and this deploy wants %s (PAAS_MIN_FREE, or %d times the commit). %s",
			say.Bytes(d.Free), say.Bytes(d.Size), say.Limit(want), timesTree, advice)
	}
	if wantFiles := max(minFreeFiles, timesTree*int64(files)); d.FreeFilesCounts && d.FreeFiles < wantFiles {
		return fmt.Errorf("the server's disk takes only %d more files, and this deploy wants %d (its inodes run out: df -i). %s",
			d.FreeFiles, wantFiles, advice)
	}
	return nil
}
