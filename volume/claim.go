package volume

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The roles of processes on a volume. Each role belongs to one process at a time; a process may
// have all.
const (
	RoleGit     = "git"     // takes pushes and commands: ssh door and receiver
	RoleApp     = "app"     // runs the apps: runtime and router
	RoleSidecar = "sidecar" // follows remote repositories
	RoleFront   = "front"   // the router that visitors meet, where the app role does not do that
)

// ErrClaimed is the error for a role that another live process has.
var ErrClaimed = errors.New("already running on this volume")

// Claim gives this process the role (such as [RoleApp]) on the volume, until the returned file is
// closed or the process dies. A process that inherits the file has the role too: it is free once the
// last of them has closed it or died. If another process has it, Claim waits at most 0.1 s; the error then wraps
// [ErrClaimed] and names that process. It waits at most 5 s if that process is dead: the lock is
// free once the last child that it forked has executed its program or ended.
func (v *Volume) Claim(role string) (*os.File, error) {
	f, err := os.OpenFile(v.claim(role), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	// Claimed holds the lock for a moment
	for try := 0; try < 500 && errors.Is(err, syscall.EWOULDBLOCK); try++ {
		if pid, _ := strconv.Atoi(claimant(f)); try >= 10 && syscall.Kill(pid, 0) != syscall.ESRCH {
			break
		}
		time.Sleep(10 * time.Millisecond)
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	}
	if err != nil {
		defer f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("%s of %s: %w (process %s)", role, v.Root, ErrClaimed, claimant(f))
		}
		return nil, err
	}
	f.Truncate(0)
	f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return f, nil
}

// claimant returns the process id in the file of a claim.
func claimant(f *os.File) string {
	pid := make([]byte, 20)
	n, _ := f.ReadAt(pid, 0)
	return strings.TrimSpace(string(pid[:n]))
}

// Claimed reports whether a live process has the role on the volume.
func (v *Volume) Claimed(role string) bool {
	f, err := os.OpenFile(v.claim(role), os.O_RDWR, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	return syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) != nil
}

func (v *Volume) claim(role string) string { return filepath.Join(v.Root, "run", role+".lock") }
