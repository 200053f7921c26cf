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

// Roles are what processes do on a volume, each one process at a time; one process may have all.
const (
	RoleGit     = "git"     // takes pushes and commands: ssh door and receiver
	RoleApp     = "app"     // runs the apps: runtime and router
	RoleSidecar = "sidecar" // follows repositories elsewhere
)

// ErrClaimed says that another live process has the role.
var ErrClaimed = errors.New("already running on this volume")

// Claim makes this process the one that has role (such as [RoleApp]) on the volume, until release
// is called or the process dies. It waits 0.1 s at most: the error wraps [ErrClaimed] and names the
// process that has it.
func (v *Volume) Claim(role string) (release func(), err error) {
	f, err := os.OpenFile(v.claim(role), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	for try := 0; try < 10 && errors.Is(err, syscall.EWOULDBLOCK); try++ { // it may be no more than a look of Claimed
		time.Sleep(10 * time.Millisecond)
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	}
	if err != nil {
		defer f.Close()
		if errors.Is(err, syscall.EWOULDBLOCK) {
			pid := make([]byte, 20)
			n, _ := f.ReadAt(pid, 0)
			return nil, fmt.Errorf("%s of %s: %w (process %s)", role, v.Root, ErrClaimed, strings.TrimSpace(string(pid[:n])))
		}
		return nil, err
	}
	f.Truncate(0)
	f.WriteAt([]byte(strconv.Itoa(os.Getpid())+"\n"), 0)
	return func() { f.Close() }, nil
}

// Claimed says whether a live process has role on the volume.
func (v *Volume) Claimed(role string) bool {
	f, err := os.OpenFile(v.claim(role), os.O_RDWR, 0)
	if err != nil {
		return false
	}
	defer f.Close()
	return syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) != nil
}

func (v *Volume) claim(role string) string { return filepath.Join(v.Root, "run", role+".lock") }
