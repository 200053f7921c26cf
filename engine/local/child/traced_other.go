//go:build !linux

package child

import "os/exec"

func (k *Keeper) startStopped(cmd *exec.Cmd) (ready func(), err error) {
	return nil, k.ifOpen(func() error { return k.start(cmd) })
}

func (k *Keeper) start(cmd *exec.Cmd) error { return cmd.Start() }

func (k *Keeper) limitProcesses(int, bool) error { return nil }

func maxAppProcesses() uint64 { return 0 }

func userThreads() uint64 { return 0 }
