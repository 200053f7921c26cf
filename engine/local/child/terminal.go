package child

import (
	"cmp"
	"fmt"
	"os"
	"os/exec"

	"github.com/creack/pty"
	"golang.org/x/sys/unix"

	"paas/terminal"
)

// openTerminal makes a terminal, which becomes the controlling terminal of cmd's session.
func (s *streams) openTerminal(c Command, cmd *exec.Cmd) error {
	master, device, err := pty.Open()
	if err != nil {
		return fmt.Errorf("terminal: %w", err)
	}
	if master, err = nonBlocking(master); err != nil {
		device.Close()
		return fmt.Errorf("terminal: %w", err)
	}
	setSize(master, c.Terminal.Size)
	s.out, s.terminal, s.theirs = master, true, []*os.File{device}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = device, device, device
	// descriptor 0 of the child; Setsid comes first
	cmd.SysProcAttr.Setctty, cmd.SysProcAttr.Ctty = true, 0
	if c.In != nil {
		s.in = master
	}
	return nil
}

// nonBlocking returns f for use with Go's poller, so that it takes no thread and supports
// deadlines. Package pty leaves it blocking.
func nonBlocking(f *os.File) (*os.File, error) {
	defer f.Close()
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), f.Name()), nil
}

// setSize sets the size of a terminal; an unknown size becomes 80x24. pty.Setsize would make the
// master blocking.
func setSize(master *os.File, size terminal.Size) error {
	raw, err := master.SyscallConn()
	if err != nil {
		return err
	}
	return raw.Control(func(fd uintptr) {
		unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ,
			&unix.Winsize{Col: cmp.Or(size.Columns, 80), Row: cmp.Or(size.Rows, 24)})
	})
}
