// Package cli reads calls of the command table from words: on the server's command line, and from
// SSH. It derives parsing, help and completion from the rows. It writes no answers.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"paas/access"
	"paas/command"
	"paas/nearest"
	"paas/say"
	"paas/terminal"
)

// groups are the groups in the order in which the help lists them.
var groups = []group{
	{command.Apps, "Apps:"}, {command.Config, "Config vars and settings of an app:"},
	{command.Running, "Processes and releases:"}, {command.Visitors, "Domains and visitors:"},
	{command.Sources, "Remote repositories:"},
	{command.Keys, "Access:"}, {command.Operate, "Server:"},
}

type group struct {
	is    command.Group
	title string
}

// Table is rows that begin in the same way.
type Table struct {
	Rows []command.Row
	// Begin fills in the server, the caller and the console of a call. end is called when the row
	// has run.
	Begin func(*command.Call) (end func(), err error)
}

// New returns a command line for the tables, for somebody with that role on the server. words is
// what it is called with: rows that are not among the words are listed in the help, and cost nothing
// else.
func New(use, short string, role access.Right, words []string, tables ...Table) *cobra.Command {
	root := &cobra.Command{Use: use, Short: short, Args: cobra.ArbitraryArgs}
	// In usages cobra else shows the first word of use.
	root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: use}
	for _, g := range groups {
		root.AddGroup(&cobra.Group{ID: string(g.is), Title: g.title})
	}
	rows := map[string]command.Row{}
	for _, t := range tables {
		for _, row := range t.Rows {
			rows[row.About().Name] = row
			root.AddCommand(t.command(row, role, words))
		}
	}
	root.RunE = func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return cmd.Help()
		}
		return noCommand(cmd, args[0])
	}
	root.SetHelpFunc(func(cmd *cobra.Command, _ []string) { help(cmd, rows) })
	root.SetHelpCommand(helpCommand(root))
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		if name := firstArgument(words); cmd == root && name != "" { // no command has these flags
			return noCommand(root, name)
		}
		return UsageError(err)
	})
	root.SilenceErrors, root.SilenceUsage = true, true
	root.SetArgs(words)
	return root
}

// Execute runs root, prints its error if there is one, and returns the exit status.
func Execute(ctx context.Context, root *cobra.Command, stderr io.Writer) int {
	cmd, err := root.ExecuteContextC(ctx)
	var exit command.Exit
	switch {
	case err == nil, errors.Is(err, terminal.ErrOutputClosed), errors.As(err, &exit):
	case errors.Is(err, context.Canceled):
		say.Fault(stderr, "interrupted")
	default:
		say.Fault(stderr, "%v", spell(command.AsFault(err), cmd))
	}
	return command.ExitStatus(err)
}

// command is the command of one row.
func (t Table) command(row command.Row, role access.Right, words []string) *cobra.Command {
	about := row.About()
	cmd := &cobra.Command{
		Use: about.Name, Aliases: about.Aliases, Short: about.Short, GroupID: string(about.Group),
		Hidden: about.Needs > role, DisableFlagsInUseLine: true,
	}
	if !slices.ContainsFunc(words, about.Called) {
		cmd.Run = func(*cobra.Command, []string) {} // else the help leaves it out
		return cmd
	}
	l := newLine(row, cmd)
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, end, err := t.begin(cmd)
		if err != nil {
			return err
		}
		defer end()
		return command.Run(c, row, l.in, l.format)
	}
	t.addCompletion(cmd, l)
	return cmd
}

func (t Table) begin(cmd *cobra.Command) (*command.Call, func(), error) {
	c := &command.Call{
		Context: cmd.Context(),
		Stdin:   cmd.InOrStdin(), Stdout: cmd.OutOrStdout(), Stderr: cmd.ErrOrStderr(),
	}
	end, err := t.Begin(c)
	return c, end, err
}

// UsageError makes err a fault in the use of a command.
func UsageError(err error) error {
	var fault *command.Fault
	var value *pflag.InvalidValueError
	var missing *pflag.ValueRequiredError
	switch {
	case errors.As(err, &fault):
		return fault
	case errors.As(err, &value): // the library has the words of the Go function that failed
		is := value.GetFlag().Value.Type()
		if is == "bool" {
			is = "true or false"
		}
		err = fmt.Errorf("--%s is %s, not %q", value.GetFlag().Name, is, say.Plain(value.GetValue(), 80))
	case errors.As(err, &missing):
		err = fmt.Errorf("--%s needs a value", missing.GetFlag().Name)
	}
	return &command.Fault{Kind: command.Usage, Err: err}
}

// spell adds the usage of cmd to a usage error that has no other advice.
func spell(err error, cmd *cobra.Command) error {
	var fault *command.Fault
	if errors.As(err, &fault) && fault.Kind == command.Usage && fault.Next == "" && cmd.HasParent() {
		fault.Next = "usage: " + cmd.UseLine()
	}
	return err
}

// firstArgument is the first word that is no flag; empty: there is none.
func firstArgument(words []string) string {
	for _, word := range words {
		if !strings.HasPrefix(word, "-") {
			return word
		}
	}
	return ""
}

// noCommand is the error for a name that none of root's commands has.
func noCommand(root *cobra.Command, name string) error {
	var names []string
	for _, c := range root.Commands() {
		names = append(append(names, c.Name()), c.Aliases...)
	}
	next := "help lists them"
	if near := nearest.Word(name, names); near != "" {
		next = "did you mean " + near + "?"
	}
	return &command.Fault{Kind: command.Usage, Err: fmt.Errorf("no command %q", name), Next: next}
}

// Arguments accepts between low and high arguments; any number if high < 0.
func Arguments(low, high int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < low || high >= 0 && len(args) > high {
			return &command.Fault{Kind: command.Usage}
		}
		return nil
	}
}
