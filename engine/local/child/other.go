//go:build !linux

package child

import (
	"errors"
	"os/exec"
	"syscall"

	"golang.org/x/sys/unix"
)

// This file stands in for what only Linux has, so that paas can be built and tried elsewhere.

// CapsMemory reports whether [Command].MaxMemory has an effect on this system.
const CapsMemory = false

const getTermios = unix.TIOCGETA

// process is a process group, all that can be found without /proc.
type process struct{ pid, group int }

// find lists the leaders whose groups live. Children that called setsid are not found.
func (t processTree) find() []process {
	var found []process
	for _, leader := range t.leaders {
		if err := unix.Kill(-leader, 0); err == nil || errors.Is(err, unix.EPERM) {
			found = append(found, process{leader, leader})
		}
	}
	return found
}

func (p process) signal(sig unix.Signal) { unix.Kill(-p.group, sig) }

// ownSession makes cmd the leader of its own session.
func ownSession(cmd *exec.Cmd) (handle *int) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	return nil
}

// awaitEnd blocks until cmd has ended. The returned function returns its exit status.
func awaitEnd(cmd *exec.Cmd, _ *int) (wait func() error) {
	err := cmd.Wait()
	return func() error { return err }
}

func (k *Keeper) startStopped(cmd *exec.Cmd) (ready func(), err error) {
	return nil, k.ifOpen(func() error { return k.start(cmd) })
}

func (k *Keeper) start(cmd *exec.Cmd) error      { return cmd.Start() }
func (k *Keeper) limitProcesses(int, bool) error { return nil }
func (k *Keeper) oomKilled(int) bool             { return false }

func closeInherited() {}

// DropProgramPages is for Linux.
func DropProgramPages() {}

func firstThread() bool                        { return false }
func listening(int) []string                   { return nil }
func holder([]process, uint32) (process, bool) { return process{}, false }
func memory([]process, int64) int64            { return 0 }
func sameNamespace(int) []process              { return nil }
func maxAppProcesses() uint64                  { return 0 }
func userThreads() uint64                      { return 0 }

// OOMKills is unknown here.
func OOMKills() int { return 0 }

// OOMWatch notices nothing here.
type OOMWatch struct{}

// WatchOOM does nothing here.
func WatchOOM() *OOMWatch { return &OOMWatch{} }

// Close does nothing here.
func (w *OOMWatch) Close() {}

// RanOut returns false here.
func (w *OOMWatch) RanOut() bool { return false }
