// Package socketpair makes connected sockets. It does not know what is said on them.
package socketpair

import (
	"os"
	"syscall"
)

// New returns two unix stream sockets that are connected to each other, for the caller to close. No
// program that this process starts inherits them.
func New() (a, b *os.File, err error) {
	syscall.ForkLock.RLock() // not every system can make close-on-exec sockets in one step
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(fds[0])
		syscall.CloseOnExec(fds[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	return os.NewFile(uintptr(fds[0]), "pair"), os.NewFile(uintptr(fds[1]), "pair"), nil
}
