package doctor

import (
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// enoughLandlock is the first version that restricts signals and abstract sockets (Linux 6.12).
const enoughLandlock = 6

// Landlock returns an error if the kernel has no Landlock, or only an early version.
func Landlock() error {
	version, _, err := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	switch {
	case err == unix.EOPNOTSUPP:
		return errors.New("the kernel has Landlock, and it is turned off")
	case err != 0:
		return errors.New("the kernel has no Landlock, or something forbids it")
	case version < enoughLandlock:
		return fmt.Errorf("the kernel has Landlock %d, which restricts neither signals nor abstract sockets", version)
	}
	return nil
}
