// Package cli reads calls of the command table from words: on the server's command line, and from
// SSH. It derives parsing, help and completion from the rows. It writes no answers.
package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"paas/command"
	"paas/nearest"
	"paas/say"
	"paas/terminal"
)

// groups are the groups in the order in which the help lists them.
var groups = []group{
	{command.Apps, "Apps:"}, {command.Config, "Config vars and settings of an app:"},
	{command.Running, "Processes and releases:"}, {command.Sources, "Remote repositories:"},
	{command.Keys, "Keys:"}, {command.Operate, "Server:"},
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

// New returns a command line for the tables. words is what it is called with: rows that are not
// among the words are listed in the help, and cost nothing else.
func New(use, short string, admin bool, words []string, tables ...Table) *cobra.Command {
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
			root.AddCommand(t.command(row, admin, words))
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
func (t Table) command(row command.Row, admin bool, words []string) *cobra.Command {
	about := row.About()
	cmd := &cobra.Command{
		Use: about.Name, Aliases: about.Aliases, Short: about.Short, GroupID: string(about.Group),
		Hidden: about.Needs == command.Admin && !admin, DisableFlagsInUseLine: true,
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
	cmd.ValidArgsFunction = func(
		cmd *cobra.Command, args []string, _ string,
	) ([]string, cobra.ShellCompDirective) {
		return t.complete(cmd, l, args)
	}
	for _, f := range l.fields {
		if f.IsFlag && f.Value != "" {
			cmd.RegisterFlagCompletionFunc(f.Name, func(
				cmd *cobra.Command, args []string, _ string,
			) ([]string, cobra.ShellCompDirective) {
				return t.offer(cmd, f, l.appIn(args))
			})
		}
	}
	if l.takesApp() {
		cmd.RegisterFlagCompletionFunc("app", func(
			cmd *cobra.Command, _ []string, _ string,
		) ([]string, cobra.ShellCompDirective) {
			return t.offer(cmd, l.fields[0], "")
		})
	}
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

// complete offers words for the argument after args.
func (t Table) complete(
	cmd *cobra.Command, l *line, args []string,
) ([]string, cobra.ShellCompDirective) {
	app := l.appIn(args)
	at := len(args)
	if l.app != "" {
		at++
	}
	var arguments []command.Field
	for _, f := range l.fields {
		if !f.IsFlag {
			arguments = append(arguments, f)
		}
	}
	if len(arguments) > 0 && arguments[len(arguments)-1].Many {
		at = min(at, len(arguments)-1)
	}
	if at >= len(arguments) {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	return t.offer(cmd, arguments[at], app)
}

// offer returns words for the field of a command for an app. For a FILE the shell offers files.
func (t Table) offer(
	cmd *cobra.Command, f command.Field, app string,
) ([]string, cobra.ShellCompDirective) {
	c, end, err := t.begin(cmd)
	if err != nil {
		return nil, cobra.ShellCompDirectiveError
	}
	defer end()
	words := c.Complete(f, app)
	switch {
	case f.Name == "FILE":
		return nil, cobra.ShellCompDirectiveDefault
	case len(words) > 0 && strings.HasSuffix(words[0], "="):
		return words, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
	return words, cobra.ShellCompDirectiveNoFileComp
}

// line is the input of a row, and the format of its answer, as words say them.
type line struct {
	in     any
	fields []command.Field
	format command.Format
	app    string // of --app
}

// newLine prepares cmd to read its words into a line.
func newLine(row command.Row, cmd *cobra.Command) *line {
	l := &line{in: row.Input(), format: command.Text}
	l.fields = command.Fields(l.in)
	command.SetDefaults(l.in)
	cmd.Use = command.UsageLine(row)
	for _, f := range l.fields {
		if f.IsFlag {
			addFlag(cmd, l.in, f, f.Name, f.Short)
			for _, name := range f.Also {
				short := ""
				if len(name) == 1 {
					short = name
				}
				addFlag(cmd, l.in, f, name, short).Hidden = true
			}
		}
	}
	if l.takesApp() {
		cmd.Flags().VarP(&appValue{&l.app}, "app", "a", "the app, instead of the first argument")
	}
	if command.IsRaw(row) {
		cmd.Flags().SetInterspersed(false)
	} else if cmd.Flags().Lookup("format") == nil {
		cmd.Flags().Var((*formatValue)(&l.format), "format", "text or json")
	}
	cmd.Args = func(_ *cobra.Command, args []string) error {
		if l.app != "" {
			args = append([]string{l.app}, args...)
		}
		return command.SetArguments(l.in, args)
	}
	return l
}

func (l *line) takesApp() bool { return command.TakesApp(l.in) }

// appIn is the app that the flag --app or the first of args names; it may be empty.
func (l *line) appIn(args []string) string {
	if l.app == "" && l.takesApp() && len(args) > 0 {
		return args[0]
	}
	return l.app
}

// addFlag adds a flag that sets the field.
func addFlag(cmd *cobra.Command, in any, f command.Field, name, short string) *pflag.Flag {
	flag := cmd.Flags().VarPF(&flagValue{in: in, field: f}, name, short, f.Help)
	if f.Value == "" {
		flag.NoOptDefVal = "true"
	}
	return flag
}

// appValue is the flag --app.
type appValue struct{ app *string }

func (v *appValue) Set(text string) error {
	if text == "" || strings.HasPrefix(text, "-") {
		return UsageError(errors.New("--app is the name of an app"))
	}
	*v.app = text
	return nil
}

func (v *appValue) String() string { return "" }

func (v *appValue) Type() string { return "APP" }

// flagValue sets a field of an input.
type flagValue struct {
	in    any
	field command.Field
}

func (v *flagValue) Set(text string) error { return v.field.Set(v.in, text) }

func (v *flagValue) String() string { return v.field.Default }

// Type is the name of the value in help. pflag shows none for a bool.
func (v *flagValue) Type() string { return cmp.Or(v.field.Value, "bool") }

// formatValue is the flag --format.
type formatValue command.Format

func (f *formatValue) Set(text string) error {
	if text != string(command.Text) && text != string(command.JSON) {
		return UsageError(fmt.Errorf("--format is text or json, not %q", text))
	}
	*f = formatValue(text)
	return nil
}

func (f *formatValue) String() string { return string(*f) }

func (f *formatValue) Type() string { return "FORMAT" }

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

func helpCommand(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND]", Args: Arguments(0, 1), DisableFlagsInUseLine: true,
		Short: "list the commands, or explain one", GroupID: string(command.Operate),
		RunE: func(cmd *cobra.Command, names []string) error {
			if len(names) == 0 {
				return root.Help()
			}
			for _, c := range root.Commands() {
				if c.Name() == names[0] || c.HasAlias(names[0]) {
					return c.Help()
				}
			}
			return noCommand(root, names[0])
		},
	}
}

// help prints a command's help. For the root it lists all commands by group, with their usage.
func help(cmd *cobra.Command, rows map[string]command.Row) {
	w := cmd.OutOrStdout()
	if cmd.HasParent() {
		fmt.Fprintf(w, "%s\n\nusage: %s\n", cmd.Short, cmd.UseLine())
		if flags := cmd.LocalNonPersistentFlags(); flags.HasAvailableFlags() {
			fmt.Fprintf(w, "\n%s\n", strings.TrimRight(flags.FlagUsages(), "\n"))
		}
		if row, ok := rows[cmd.Name()]; ok {
			helpMore(w, row.About(), cmd)
		}
		if cmd.Name() == "serve" {
			const title = "Settings, each also as PAAS_<NAME> in the environment or in paas.yaml:"
			fmt.Fprintf(w, "\n%s\n%s", title, cmd.InheritedFlags().FlagUsages())
		}
		return
	}
	fmt.Fprintf(w, "%s\n", cmd.Short)
	for _, g := range groups {
		helpGroup(w, g.title, string(g.is), cmd.Commands(), rows)
	}
	fmt.Fprintf(w, "\nMore about one: %s help COMMAND\n", cmd.Use)
}

// helpMore prints what only the table knows of a command.
func helpMore(w io.Writer, about command.Head, cmd *cobra.Command) {
	if about.More != "" {
		fmt.Fprintf(w, "\n%s\n", strings.TrimRight(about.More, "\n"))
	}
	example := strings.TrimSpace(cmd.Root().Use + " " + about.Name + " " + about.Example)
	fmt.Fprintf(w, "\nexample: %s\n", example)
	if len(about.Aliases) > 0 {
		fmt.Fprintf(w, "also called: %s\n", strings.Join(about.Aliases, ", "))
	}
}

func helpGroup(
	w io.Writer, title, id string, commands []*cobra.Command, rows map[string]command.Row,
) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	defer t.Flush()
	first := true
	for _, c := range commands {
		if c.GroupID != id || !c.IsAvailableCommand() && c.Name() != "help" {
			continue
		}
		if first {
			fmt.Fprintf(t, "\n%s\n", title)
			first = false
		}
		use := c.Use
		if row, ok := rows[c.Name()]; ok {
			use = listed(command.UsageLine(row))
		}
		fmt.Fprintf(t, "  %s\t%s\n", use, c.Short)
	}
}

// widest is how long a usage may be in the list of all commands, so that the columns stay readable.
const widest = 45

var flagsOfUsage = regexp.MustCompile(`( \[-[^\]]*\])+`)

// listed is a usage as the list of all commands shows it.
func listed(use string) string {
	if len(use) <= widest {
		return use
	}
	return flagsOfUsage.ReplaceAllString(use, " [FLAGS]")
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
