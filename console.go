package main

import (
	"io"
	"syscall"

	"paas/sshd"
	"paas/terminal"
)

// localConsole is the terminal of the command line on the server.
type localConsole struct {
	in  io.Reader
	out io.Writer
}

func (c localConsole) Take() (t *terminal.Terminal, screen io.Writer, restore func(), err error) {
	t, restore, err = terminal.Take(c.in, c.out)
	return t, c.out, restore, err
}

func (c localConsole) Signals() <-chan syscall.Signal { return nil }

// remoteConsole is the terminal of an SSH client. The SSH server reads it key by key anyway.
type remoteConsole struct{ sshd.Console }

func (c remoteConsole) Take() (t *terminal.Terminal, screen io.Writer, restore func(), err error) {
	if c.Terminal == nil {
		return nil, c.Stdout, func() {}, nil
	}
	return c.Terminal, c.Screen, func() {}, nil
}

func (c remoteConsole) Signals() <-chan syscall.Signal { return c.Console.Signals }
