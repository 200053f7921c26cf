package keeper

import (
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// running opens the program of this process, whose path was path. The file there may be another one
// by now.
func running(path string) (*os.File, error) { return openAs("/proc/self/exe", path) }

// open opens a program for [runnable].
func open(path string) (*os.File, error) { return openAs(path, path) }

// aboveStreams is more than the files that a server inherits, which take the first numbers.
const aboveStreams = 64

// openAs opens a program that people know by another path.
func openAs(path, name string) (*os.File, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, aboveStreams)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// runnable returns a path of an open program: its own, by which people know it, as long as that leads
// to it.
func runnable(f *os.File) string {
	ours, err := f.Stat()
	if err == nil {
		if there, err := os.Stat(f.Name()); err == nil && os.SameFile(ours, there) {
			return f.Name()
		}
	}
	return fmt.Sprintf("/proc/self/fd/%d", f.Fd())
}

// ownSession keeps a terminal's signals from a server, and kills it when the keeper is killed.
func ownSession() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setsid: true, Pdeathsig: syscall.SIGKILL}
}
