package terminal

import (
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// Is reports whether out is this process's terminal.
func Is(out io.Writer) bool {
	f, ok := out.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

// Readable reports whether in is this process's terminal, and the process may read it: a job in the
// background would be stopped for reading it.
func Readable(in *os.File) bool {
	group, err := unix.IoctlGetInt(int(in.Fd()), unix.TIOCGPGRP)
	return err == nil && group == syscall.Getpgrp()
}

// Take puts the terminal of this process into raw mode until restore is called: every key, Ctrl-C
// too, is then a byte of in. It returns nil, and a restore that does nothing, unless both in and
// out are the terminal.
func Take(in io.Reader, out io.Writer) (t *Terminal, restore func(), err error) {
	keys, ok1 := in.(*os.File)
	screen, ok2 := out.(*os.File)
	if !ok1 || !ok2 || !term.IsTerminal(int(keys.Fd())) || !Is(screen) {
		return nil, func() {}, nil
	}
	before, err := term.MakeRaw(int(keys.Fd()))
	if err != nil {
		return nil, nil, err
	}
	sizes, changed, done := NewSizes(), make(chan os.Signal, 1), make(chan struct{})
	signal.Notify(changed, syscall.SIGWINCH)
	go func() {
		for {
			select {
			case <-changed:
				sizes.Put(sizeOf(screen))
			case <-done:
				return
			}
		}
	}()
	return &Terminal{Type: os.Getenv("TERM"), Size: sizeOf(screen), Resized: sizes}, func() {
		signal.Stop(changed)
		close(done)
		term.Restore(int(keys.Fd()), before)
	}, nil
}

func sizeOf(screen *os.File) Size {
	columns, rows, err := term.GetSize(int(screen.Fd()))
	if err != nil {
		return Size{}
	}
	return Size{Columns: uint16(columns), Rows: uint16(rows)}
}
