package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"paas/config"
	"paas/nearest"
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
	raw   bool // deals with a terminal's keys and with signals itself
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

var groups = []*cobra.Group{
	{ID: "apps", Title: "Apps:"}, {ID: "config", Title: "Config vars and settings of an app:"},
	{ID: "run", Title: "What runs:"}, {ID: "source", Title: "Repositories elsewhere:"}, {ID: "keys", Title: "Keys:"}, {ID: "server", Title: "Server:"},
}

// table is every verb, by group.
func table() map[string][]verb {
	return map[string][]verb{"apps": appVerbs, "config": configVerbs, "run": slices.Concat(psVerbs, limitVerbs, sleepVerbs, logVerbs, runVerbs, cronVerbs), "source": sourceVerbs, "keys": keyVerbs, "server": eventVerbs}
}

// isRaw says whether the verb of that name deals with keys and signals itself.
func isRaw(name string) bool {
	for _, verbs := range table() {
		for _, v := range verbs {
			if verb, _, _ := strings.Cut(v.use, " "); verb == name {
				return v.raw
			}
		}
	}
	return false
}

// addVerbs gives root a command for each verb. ready is called before one runs, and brings the paas
// it runs on.
func addVerbs(root *cobra.Command, who caller, ready func(*cobra.Command) (*paas, error)) {
	root.AddGroup(groups...)
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
	root.SetHelpFunc(help)
	root.SetHelpCommand(&cobra.Command{
		Use: "help [COMMAND]", Short: "what there is, or more about one", GroupID: "server", Args: args(0, 1), DisableFlagsInUseLine: true,
		RunE: func(cmd *cobra.Command, names []string) error {
			if len(names) == 0 {
				return root.Help()
			}
			for _, c := range root.Commands() {
				if c.Name() == names[0] {
					return c.Help()
				}
			}
			return noCommand(root, names[0])
		},
	})
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return usageError{fmt.Errorf("%w; usage: %s", err, cmd.UseLine())}
	})
	root.Args = cobra.ArbitraryArgs
	root.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		return noCommand(cmd, args[0])
	}
}

// noCommand is the error for a name that none of root's commands has.
func noCommand(root *cobra.Command, name string) error {
	var names []string
	for _, c := range root.Commands() {
		names = append(names, c.Name())
	}
	if near := nearest.Word(name, names); near != "" {
		return usageError{fmt.Errorf("no command %q; did you mean %s?", name, near)}
	}
	return usageError{fmt.Errorf("no command %q; help lists them", name)}
}

// newRoot is the command line of the server.
func newRoot() *cobra.Command {
	root := &cobra.Command{
		Use:   "paas",
		Short: "paas turns a server into a git remote that runs what you push.",
	}
	config.Flags(root.PersistentFlags())
	load := func(cmd *cobra.Command) (*config.Config, error) {
		c, _, err := config.Load(cmd.Flags(), os.Environ())
		if err != nil {
			return nil, usageError{err}
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
	addVerbs(root, localCaller(), local)
	for _, cmd := range []*cobra.Command{serveCommand(load), syncCommand(load), healthCommand(load), watchCommand(), versionCommand()} {
		cmd.GroupID = "server"
		root.AddCommand(cmd)
	}
	root.SetCompletionCommandGroupID("server")
	return root
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

// runVerb runs one line of the table for a caller who came by SSH, and returns the exit status.
func (p *paas) runVerb(ctx context.Context, who caller, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	root := &cobra.Command{
		Use:   p.hint("", ""),
		Short: "git push deploys; these commands do the rest.",
	}
	root.CompletionOptions.DisableDefaultCmd = true
	addVerbs(root, who, func(*cobra.Command) (*paas, error) { return p, nil })
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	return status(root.ExecuteContext(ctx), stderr)
}

// showServerSettings lists every setting of the server: value, where from, unit and default.
func showServerSettings(c *call) error {
	_, settings, err := config.Load(c.cmd.Flags(), os.Environ())
	if err != nil {
		return err
	}
	return list(c, settings, "", "SETTING\tVALUE\tFROM\tMEANING", func(s config.Setting) string {
		return fmt.Sprintf("%s\t%s\t%s\t%s %s", s.Key, orNone(s.Value), s.Source, s.Help, s.Values())
	})
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

// args wants between low and high arguments; high < 0 is any number.
func args(low, high int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < low || high >= 0 && len(args) > high {
			return usageError{errors.New("usage: " + cmd.UseLine())}
		}
		return nil
	}
}

var noArgs = args(0, 0)

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
		return usageError{fmt.Errorf("--format is text or json, not %q", format)}
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
