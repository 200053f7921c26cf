package deploy

import (
	"math"
	"strings"
	"testing"

	"paas/volume"
)

func TestDiskSpace(t *testing.T) {
	const mb = 1_000_000
	disk := volume.Disk{Free: 150 * mb, Size: 20_000 * mb, FreeFiles: 10_000, FreeFilesCounts: true}
	for name, c := range map[string]struct {
		min   int64
		bytes int64
		files int
		disk  func(*volume.Disk)
		want  string // in the error; empty: there is enough
	}{
		"enough":                      {100 * mb, 0, 0, nil, ""},
		"exactly enough":              {150 * mb, 0, 0, nil, ""},
		"too little, whatever comes":  {512 << 20, 0, 0, nil, "has 150.0 MB free of 20.0 GB, and this deploy wants 512 MiB (what the server keeps free"},
		"three times the commit fits": {1 * mb, 50 * mb, 0, nil, ""},
		"and does not":                {1 * mb, 51 * mb, 0, nil, "wants 153.0 MB"},
		"a commit beyond all bounds":  {1 * mb, math.MaxInt64 / 2, 0, nil, "150.0 MB free"},
		"many files":                  {1 * mb, 0, 3334, nil, "only 10000 more files, and this deploy wants 10002"},
		"not too many":                {1 * mb, 0, 3333, nil, ""},
		"few inodes":                  {1 * mb, 0, 0, func(d *volume.Disk) { d.FreeFiles = 3 }, "only 3 more files"},
		"a file system without them":  {1 * mb, 0, 9999, func(d *volume.Disk) { d.FreeFiles, d.FreeFilesCounts = 0, false }, ""},
		"full":                        {1 << 10, 0, 0, func(d *volume.Disk) { d.Free = 0 }, "has 0 bytes free"},
	} {
		d := disk
		if c.disk != nil {
			c.disk(&d)
		}
		err := DiskSpace{c.min}.on(d, c.bytes, c.files)
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// The figures are those of the volume's file system, and 0 checks nothing.
func TestDiskSpaceOnTheVolume(t *testing.T) {
	v := &volume.Volume{Root: t.TempDir()}
	if err := (DiskSpace{1 << 10}).Check(v, 0, 0); err != nil {
		t.Errorf("a kilobyte: %v", err)
	}
	if err := (DiskSpace{math.MaxInt64}).Check(v, 0, 0); err == nil {
		t.Error("no disk is that large")
	}
	if err := (DiskSpace{0}).Check(v, math.MaxInt64, math.MaxInt32); err != nil {
		t.Error(err)
	}
}
