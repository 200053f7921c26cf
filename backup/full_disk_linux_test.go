package backup

import (
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"paas/rig"
)

// A full disk ends the reading with that error, and no app is there.
func TestFullDisk(t *testing.T) {
	full := newVolume(t, rig.Disk(t, "xfs"))
	v := newVolume(t, t.TempDir())
	app, err := v.Create("blog")
	must(t, err)
	disk, err := full.Disk()
	must(t, err)
	filler, err := os.Create(filepath.Join(full.Root, "filler"))
	must(t, err)
	must(t, unix.Fallocate(int(filler.Fd()), 0, 0, disk.Free-(4<<20)))
	must(t, filler.Close())
	f, err := os.Create(app.Data() + "/big")
	must(t, err)
	must(t, f.Truncate(20<<20))
	must(t, f.Close())
	_, _, err = unpacked(full, written(t, v, What{App: "blog"}, Lock{}), Key{}, "", plenty)
	if !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("%v", err)
	}
	if apps, err := full.Apps(); len(apps) > 0 || err != nil {
		t.Errorf("%v, %v", apps, err)
	}
}
