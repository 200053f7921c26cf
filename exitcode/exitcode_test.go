package exitcode

import (
	"os/exec"
	"testing"
)

func TestOf(t *testing.T) {
	for script, want := range map[string]int{
		"exit 0": 0, "exit 3": 3, "kill -TERM $$": 143, "kill -KILL $$": 137,
	} {
		cmd := exec.Command("/bin/sh", "-c", script)
		cmd.Run()
		if got := Of(cmd.ProcessState); got != want {
			t.Errorf("%s: status %d, want %d", script, got, want)
		}
	}
}
