package command

import (
	"fmt"
	"io"
	"strings"

	"paas/access"
	"paas/attach"
	"paas/say"
	"paas/volume"
)

func runRows() []Row {
	return []Row{
		Raw[runInput]{
			Head: Head{
				Name: "run", Group: Running, Needs: access.Deploy,
				Example: "blog -- node migrate.js",
				Short:   "run a command once, with the app's build, config vars and data",
			},
			Run: runOnce,
		},
	}
}

type runInput struct {
	App    string   `json:"app" arg:"APP"`
	Argv   []string `json:"argv" arg:"COMMAND..."`
	Detach bool     `json:"detach" flag:"detach,d" help:"do not wait for its end: its output goes to the app's logs"`
}

// runOnce runs a command in the app's live build, where the app runs. The command has the caller's
// streams and terminal, and its exit status is the verb's.
func runOnce(c *Call, in runInput) error {
	switch {
	case in.Argv[0] == "":
		return &Fault{Kind: Usage, Field: "argv"}
	case strings.HasPrefix(in.Argv[0], "-"):
		return wrong("argv", "%s comes after the app's name, where the command is", plain(in.Argv[0]))
	case !c.serving():
		return errNothingRuns
	}
	c.record(in.App, say.Program(in.Argv[0]), volume.Began)
	request := attach.Request{App: in.App, Argv: in.Argv, By: c.Caller.Name, Detach: in.Detach}
	if in.Detach {
		return c.detach(request)
	}
	t, screen, restore, err := c.Console.Take()
	if err != nil {
		return err
	}
	defer restore()
	request.Terminal = t
	return c.attach(request, attach.Streams{
		In: c.Stdin, Out: screen, Err: c.Stderr, Signals: c.Console.Signals(),
	})
}

func (c *Call) detach(r attach.Request) error {
	var name strings.Builder
	if err := c.attach(r, attach.Streams{Out: &name, Err: io.Discard}); err != nil {
		return err
	}
	say.Step(c.Stdout, "%s runs as %s; to see what it prints:", plain(r.Argv[0]), name.String())
	say.Detail(c.Stdout, "%s", c.how("logs", fmt.Sprintf("%s -p %s", r.App, name.String())))
	return nil
}
