//go:build !linux

package child

import "os/exec"

func bearStopped(cmd *exec.Cmd, bear func(*exec.Cmd) error) (ready func(), err error) {
	return nil, bear(cmd)
}
