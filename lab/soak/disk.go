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

// mountsMark is set if this process has a mount namespace of its own.
const mountsMark = "PAAS_SOAK_MOUNTS"

// ownMounts executes this program again in a mount namespace of its own, so that its mounts end
// with it. Without the right to do so it returns.
func ownMounts() error {
	if os.Getenv(mountsMark) != "" || os.Getuid() != 0 {
		return nil
	}
	runtime.LockOSThread() // execve must be called by the thread that has the namespace
	if unix.Unshare(unix.CLONE_NEWNS) != nil {
		runtime.UnlockOSThread()
		return nil // usually in a container; smallDisk reports it
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	return syscall.Exec(self, os.Args, append(os.Environ(), mountsMark+"=own"))
}

// diskSize is several times the size of a day's apps with their builds and packs.
const diskSize = 96 << 20

// smallDisk mounts a small file system at dir, which can be filled.
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
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0,
		fmt.Sprintf("size=%d,mode=0755", diskSize)); err != nil {
		return fmt.Errorf("mount: %w", err)
	}
	return nil
}

func unmount(dir string) { unix.Unmount(dir, unix.MNT_DETACH) }

// fill uses up all space on the disk of dir. free releases it.
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
	for size := 1 << 20; size >= 1; { // in smaller and smaller pieces, to the last byte
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
