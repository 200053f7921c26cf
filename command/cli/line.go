package cli

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"paas/command"
)

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
