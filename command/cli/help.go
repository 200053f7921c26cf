package cli

import (
	"fmt"
	"io"
	"regexp"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"paas/command"
)

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
