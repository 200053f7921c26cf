package cli

import (
	"strings"

	"github.com/spf13/cobra"

	"paas/command"
)

// addCompletion lets a shell complete the arguments and flags of cmd.
func (t Table) addCompletion(cmd *cobra.Command, l *line) {
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

// offer returns words for the field of a command for an app. For a FILE or a DIR the shell
// offers its own.
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
	case f.Name == "FILE", f.Value == "DIR":
		return nil, cobra.ShellCompDirectiveDefault
	case len(words) > 0 && strings.HasSuffix(words[0], "="):
		return words, cobra.ShellCompDirectiveNoFileComp | cobra.ShellCompDirectiveNoSpace
	}
	return words, cobra.ShellCompDirectiveNoFileComp
}

// appIn is the app that the flag --app or the first of args names; it may be empty.
func (l *line) appIn(args []string) string {
	if l.app == "" && l.takesApp() && len(args) > 0 {
		return args[0]
	}
	return l.app
}
