package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"paas/attach"
	"paas/command"
	"paas/say"
	"paas/sshd"
)

// runFlags are before APP: what comes behind it is the command's.
func runFlags(cmd *cobra.Command) {
	cmd.Flags().BoolP("detach", "d", false, "do not wait for its end: its output goes to the app's logs")
	cmd.Flags().SetInterspersed(false)
}

// runOnce runs a command in the app's live build, where the app runs. The caller has its streams and
// its terminal, and its exit status is ours.
func runOnce(c *call) error {
	argv := c.args[1:]
	if argv[0] == "--" {
		argv = argv[1:]
	}
	switch {
	case len(argv) == 0 || argv[0] == "":
		return usageError(errors.New("usage: " + c.cmd.UseLine()))
	case strings.HasPrefix(argv[0], "-"):
		return usageError(fmt.Errorf("%s comes behind the app's name, where the command is; usage: %s", plain(argv[0]), c.cmd.UseLine()))
	case !c.serving():
		return errors.New("the server is not running, and apps run in it; start it: paas serve")
	}
	detach, _ := c.cmd.Flags().GetBool("detach")
	request := attach.Request{App: c.args[0], Argv: argv, By: c.name, Detach: detach}
	if detach {
		return c.detach(request)
	}
	streams := attach.Streams{In: c.in, Out: c.out, Err: c.err, Signals: c.signals}
	if c.remote && c.terminal != nil {
		request.Terminal, streams.Out = c.terminal, c.screen
	} else if !c.remote {
		t, restore, err := takeTerminal(c.in, c.out)
		if err != nil {
			return err
		}
		defer restore()
		request.Terminal = t
	}
	return c.attach(request, streams)
}

// attach has the app's runtime run what is asked for.
func (c *call) attach(r attach.Request, s attach.Streams) error {
	conn, err := c.vol.Dial(c, "app")
	if err != nil {
		return fmt.Errorf("the server does not answer: %w", err)
	}
	status, err := attach.Run(c, conn, r, s)
	switch {
	case c.Err() != nil:
		return c.Err()
	case errors.Is(err, sshd.ErrUnread):
		return err
	case err != nil:
		return &command.Fault{Kind: command.Failed, Err: err, Status: status}
	case status != 0:
		return command.Exit(status)
	}
	return nil
}

func (c *call) detach(r attach.Request) error {
	var name strings.Builder
	if err := c.attach(r, attach.Streams{Out: &name, Err: io.Discard}); err != nil {
		return err
	}
	say.Step(c.out, "%s runs as %s; to see what it prints:", plain(r.Argv[0]), name.String())
	say.Detail(c.out, "%s", c.how("logs", fmt.Sprintf("%s -p %s", r.App, name.String())))
	return nil
}

// how is what the caller types to run a verb.
func (c *call) how(verb, rest string) string {
	if c.remote {
		return c.hint(verb, rest)
	}
	return "paas " + verb + " " + rest
}
