package main

import (
	"io"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"

	"paas/sshd"
	"paas/terminal"
)

// localConsole is the terminal of the command line on the server.
type localConsole struct {
	in  io.Reader
	out io.Writer
}

// Take puts the terminal that in and out both are into raw mode, so that every key reaches the command,
// Ctrl-C too. It is nil if they are not both one.
func (c localConsole) Take() (t *terminal.Terminal, _ io.Writer, restore func(), err error) {
	keys, ok1 := c.in.(*os.File)
	screen, ok2 := c.out.(*os.File)
	if !ok1 || !ok2 || !term.IsTerminal(int(keys.Fd())) || !term.IsTerminal(int(screen.Fd())) {
		return nil, c.out, func() {}, nil
	}
	before, err := term.MakeRaw(int(keys.Fd()))
	if err != nil {
		return nil, nil, nil, err
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
	return t, c.out, func() {
		signal.Stop(changed)
		close(done)
		term.Restore(int(keys.Fd()), before)
	}, nil
}

func (c localConsole) Signals() <-chan syscall.Signal { return nil }

// remoteConsole is the terminal of a client, which the SSH server reads key by key in any case.
type remoteConsole struct{ sshd.Console }

func (c remoteConsole) Take() (t *terminal.Terminal, screen io.Writer, restore func(), err error) {
	if c.Terminal == nil {
		return nil, c.Stdout, func() {}, nil
	}
	return c.Terminal, c.Screen, func() {}, nil
}

func (c remoteConsole) Signals() <-chan syscall.Signal { return c.Console.Signals }

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
