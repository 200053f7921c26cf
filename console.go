package main

import (
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"

	"paas/terminal"
)

// takeTerminal puts the terminal that in and out both are into raw mode, so that every key reaches the
// command, Ctrl-C too. It is nil where they are not both one. restore gives it back as it was.
func takeTerminal(in io.Reader, out io.Writer) (t *terminal.Terminal, restore func(), err error) {
	keys, ok1 := in.(*os.File)
	screen, ok2 := out.(*os.File)
	if !ok1 || !ok2 || !term.IsTerminal(int(keys.Fd())) || !term.IsTerminal(int(screen.Fd())) {
		return nil, func() {}, nil
	}
	before, err := term.MakeRaw(int(keys.Fd()))
	if err != nil {
		return nil, nil, err
	}
	sizes, changed, done := terminal.NewSizes(), make(chan os.Signal, 1), make(chan struct{})
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
	t = &terminal.Terminal{Type: os.Getenv("TERM"), Size: sizeOf(screen), Resized: sizes}
	return t, func() {
		signal.Stop(changed)
		close(done)
		term.Restore(int(keys.Fd()), before)
	}, nil
}

func sizeOf(screen *os.File) terminal.Size {
	columns, rows, err := term.GetSize(int(screen.Fd()))
	if err != nil {
		return terminal.Size{}
	}
	return terminal.Size{Columns: uint16(columns), Rows: uint16(rows)}
}

// isTerminal reports whether a person reads what is written to out.
func isTerminal(out io.Writer) bool {
	f, ok := out.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}
