//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"
)

// mountsMark says that this process has its own mounts.
const mountsMark = "PAAS_SOAK_MOUNTS"

// ownMounts starts this program anew where its mounts are its own, if it may mount at all: however it ends, none
// stays behind. The new one finds the mark, and goes on.
func ownMounts() error {
	if os.Getenv(mountsMark) != "" || os.Getuid() != 0 {
		return nil
	}
	runtime.LockOSThread() // execve leaves the thread that calls it
	if unix.Unshare(unix.CLONE_NEWNS) != nil {
		runtime.UnlockOSThread()
		return nil // a container, mostly; said when the disk is wanted
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return syscall.Exec(self, os.Args, append(os.Environ(), mountsMark+"=own"))
}

// diskSize holds the apps of a day, with the builds and packs that are kept, several times over.
const diskSize = 96 << 20

// smallDisk mounts a file system at dir that is small enough to be filled.
func smallDisk(dir string) error {
	if os.Getuid() != 0 {
		return errors.New("to mount a small one takes root")
	}
	if os.Getenv(mountsMark) == "" {
		return errors.New("root may not mount here")
	}
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0755", diskSize)); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	return nil
}

func unmount(dir string) { unix.Unmount(dir, unix.MNT_DETACH) }

// fill takes all the room that is left on the disk of dir; free gives it back.
func fill(dir string) (free func() error, err error) {
	path := filepath.Join(dir, "ballast")
	f, err := os.Create(path)
	if err != nil {
		if errors.Is(err, syscall.ENOSPC) {
			return func() error { return nil }, nil
		}
		return nil, err
	}
	defer f.Close()
	free = func() error { return os.Remove(path) }
	for size := 1 << 20; size >= 1; { // smaller and smaller pieces, to the last byte
		_, err := f.Write(make([]byte, size))
		switch {
		case errors.Is(err, syscall.ENOSPC):
			size /= 16
		case err != nil:
			return nil, errors.Join(err, free())
		}
	}
	return free, nil
}
