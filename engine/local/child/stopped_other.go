//go:build !linux

package child

import "os/exec"

func (k *Keeper) bearStopped(cmd *exec.Cmd) (ready func(), err error) { return nil, k.bear(cmd) }

func (k *Keeper) start(cmd *exec.Cmd) error { return cmd.Start() }

func (k *Keeper) capProcesses(int, bool) error { return nil }

func processesOfApps() uint64 { return 0 }

func userThreads() uint64 { return 0 }
