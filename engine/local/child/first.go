package child

import (
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"

	"paas/exitcode"
)

// First is the main function of the first process of a container or another PID namespace, which
// inherits every orphan. It runs this program again as a child, forwards signals to it, reaps
// whatever ends, and returns the child's status: 128 plus the signal if one ended it. The work must
// not happen in the first process itself, because a wait for any child would take children from
// os/exec.
func First(argv []string) int {
	self, err := os.Executable()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	signals := make(chan os.Signal, 64)
	signal.Notify(signals)
	attr := &syscall.SysProcAttr{Setpgid: true} // else a terminal's Ctrl-C comes twice
	if _, err := unix.IoctlGetTermios(0, getTermios); err == nil {
		attr.Foreground = true
	}
	p, err := os.StartProcess(self, argv, &os.ProcAttr{
		Env: os.Environ(), Files: []*os.File{os.Stdin, os.Stdout, os.Stderr}, Sys: attr,
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	go func() {
		for s := range signals {
			if s != syscall.SIGCHLD && s != syscall.SIGURG { // Go's runtime sends itself SIGURG
				syscall.Kill(p.Pid, s.(syscall.Signal))
			}
		}
	}()
	for {
		var ws syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &ws, 0, nil)
		switch {
		case err == syscall.EINTR:
		case err != nil:
			fmt.Fprintln(os.Stderr, "wait:", err)
			return 1
		case pid == p.Pid && (ws.Signaled() || ws.Exited()):
			return exitcode.Wait(ws)
		}
	}
}
