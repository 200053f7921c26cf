package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/user"
	"slices"
	"syscall"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"paas/command"
	"paas/config"
	"paas/terminal"
)

// caller is who runs a command.
type caller struct {
	name   string // key name, or the user's on the server's own command line
	admin  bool
	remote bool // over SSH: files on the server are not theirs to name

	unread   <-chan struct{}       // over SSH: closed when nobody reads the output any more
	terminal *terminal.Terminal    // over SSH: the client's; nil: it has none
	screen   io.Writer             // that terminal, byte for byte
	signals  <-chan syscall.Signal // over SSH: what the client sends, where the verb is raw
}

// verb is one row of the command table, which the command line and SSH share.
type verb struct {
	use   string // "config:set APP KEY=VALUE..."
	short string
	args  cobra.PositionalArgs
	admin bool // only for admins
	flags func(*cobra.Command)
	run   func(*call) error
}

// call is one run of a verb.
type call struct {
	*paas
	context.Context
	caller
	cmd      *cobra.Command
	args     []string
	in       io.Reader
	out, err io.Writer
}

// table is every verb, by group.
func table() map[string][]verb {
	return map[string][]verb{"run": slices.Concat(psVerbs, limitVerbs, sleepVerbs, runVerbs)}
}

// addVerbs gives root a command for each verb that is not a row yet.
func addVerbs(root *cobra.Command, who caller, ready func(*cobra.Command) (*paas, error)) {
	for group, verbs := range table() {
		for _, v := range verbs {
			cmd := &cobra.Command{Use: v.use, Short: v.short, Args: v.args, GroupID: group, Hidden: v.admin && !who.admin, DisableFlagsInUseLine: true}
			if v.flags != nil {
				v.flags(cmd)
			}
			cmd.RunE = func(cmd *cobra.Command, args []string) error {
				if v.admin && !who.admin {
					return fmt.Errorf("%s is for admins; %s is not one", cmd.Name(), who.name)
				}
				p, err := ready(cmd)
				if err != nil {
					return err
				}
				if !who.remote {
					defer p.vol.Close()
				}
				return v.run(&call{
					paas: p, Context: cmd.Context(), caller: who, cmd: cmd, args: args,
					in: cmd.InOrStdin(), out: cmd.OutOrStdout(), err: cmd.ErrOrStderr(),
				})
			}
			root.AddCommand(cmd)
		}
	}
}

// localRoot is the command line on the server.
func localRoot(words []string) *cobra.Command {
	load := func(cmd *cobra.Command) (*config.Config, error) {
		c, _, err := config.Load(cmd.Flags(), os.Environ())
		if err != nil {
			return nil, usageError(err)
		}
		return c, nil
	}
	local := func(cmd *cobra.Command) (*paas, error) {
		c, err := load(cmd)
		if err != nil {
			return nil, err
		}
		p := newPaas(c)
		if err := p.vol.Open(); err != nil {
			return nil, err
		}
		return p, nil
	}
	root := newRoot("paas", "paas turns a server into a git remote that runs what you push.", true, words,
		func(cmd *cobra.Command) (*command.Call, func(), error) {
			p, err := local(cmd)
			if err != nil {
				return nil, nil, err
			}
			c := newCall(cmd, p.server())
			c.Caller = command.Caller{Name: localCaller().name, Admin: true}
			c.Settings = serverSettings(cmd)
			c.OnTerminal = isTerminal(c.Stdout)
			c.Console = localConsole{c.Stdin, c.Stdout}
			return c, func() { p.vol.Close() }, nil
		})
	config.Flags(root.PersistentFlags())
	addVerbs(root, localCaller(), local)
	for _, cmd := range []*cobra.Command{serveCommand(load), syncCommand(load), healthCommand(load), watchCommand(), versionCommand()} {
		cmd.GroupID = string(command.Operate)
		root.AddCommand(cmd)
	}
	root.SetCompletionCommandGroupID(string(command.Operate))
	return root
}

// newCall is a call with the streams of cmd.
func newCall(cmd *cobra.Command, s *command.Server) *command.Call {
	return &command.Call{Context: cmd.Context(), Server: s, Stdin: cmd.InOrStdin(), Stdout: cmd.OutOrStdout(), Stderr: cmd.ErrOrStderr()}
}

// localCaller is whoever has a shell on the server: they can read and write every file of the
// volume, so no key could keep them from anything.
func localCaller() caller {
	name := "server"
	if u, err := user.Current(); err == nil {
		name = u.Username + "@server"
	}
	return caller{name: name, admin: true}
}

// serverSettings are the server's own, as the command line of cmd has them.
func serverSettings(cmd *cobra.Command) func() ([]command.Setting, error) {
	return func() (all []command.Setting, err error) {
		_, settings, err := config.Load(cmd.Flags(), os.Environ())
		for _, s := range settings {
			all = append(all, command.Setting(s))
		}
		return all, err
	}
}

// runVerb runs one line of the table for a caller who came by SSH, and returns the exit status.
func (p *paas) runVerb(ctx context.Context, who caller, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := newRoot(p.hint("", ""), "git push deploys; these commands do the rest.", who.admin, args,
		func(cmd *cobra.Command) (*command.Call, func(), error) {
			c := newCall(cmd, p.server())
			c.Caller = command.Caller{Name: who.name, Admin: who.admin, Remote: true}
			c.Unread, c.OnTerminal = who.unread, who.terminal != nil
			c.Console = remoteConsole{who, c.Stdout}
			return c, func() {}, nil
		})
	root.CompletionOptions.DisableDefaultCmd = true
	addVerbs(root, who, func(*cobra.Command) (*paas, error) { return p, nil })
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return execute(ctx, root, stderr)
}

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", DisableFlagsInUseLine: true, Short: "which version this is", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "paas", buildVersion())
			return err
		},
	}
}

// withFormat adds --format to a command that lists.
func withFormat(cmd *cobra.Command) { cmd.Flags().String("format", "text", "text or json") }

// text reports whether the output is for people.
func (c *call) text() bool {
	format, _ := c.cmd.Flags().GetString("format")
	return format == "text"
}

// print prints value as JSON, or has text print it for people.
func (c *call) print(value any, text func() error) error {
	switch format, _ := c.cmd.Flags().GetString("format"); format {
	case "json":
		e := json.NewEncoder(c.out)
		e.SetIndent("", "  ")
		return e.Encode(value)
	case "text":
		return text()
	default:
		return usageError(fmt.Errorf("--format is text or json, not %q", format))
	}
}

// list prints rows as an aligned table with a heading, or where there are none what to do about that.
func list[T any](c *call, rows []T, none, heading string, row func(T) string) error {
	if rows == nil {
		rows = []T{} // an empty list is [] in JSON, not null
	}
	return c.print(rows, func() error {
		if len(rows) == 0 {
			_, err := fmt.Fprintln(c.out, none)
			return err
		}
		t := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(t, heading)
		for _, r := range rows {
			fmt.Fprintln(t, row(r))
		}
		return t.Flush()
	})
}

func orNone(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
