package main

import (
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"
)

// help prints a command's help: for the root every command by group, with how each is used.
func help(cmd *cobra.Command, _ []string) {
	w := cmd.OutOrStdout()
	if cmd.HasParent() {
		fmt.Fprintf(w, "%s\n\nusage: %s\n", cmd.Short, cmd.UseLine())
		if flags := cmd.LocalNonPersistentFlags(); flags.HasAvailableFlags() {
			fmt.Fprintf(w, "\n%s\n", strings.TrimRight(flags.FlagUsages(), "\n"))
		}
		if cmd.Name() == "serve" {
			fmt.Fprintf(w, "\nSettings, each also as PAAS_<NAME> in the environment or in paas.yaml:\n%s", cmd.InheritedFlags().FlagUsages())
		}
		return
	}
	fmt.Fprintf(w, "%s\n", cmd.Short)
	for _, g := range groups {
		helpGroup(w, g, cmd.Commands())
	}
	fmt.Fprintf(w, "\nMore about one: %s help COMMAND\n", cmd.Use)
}

func helpGroup(w io.Writer, group *cobra.Group, commands []*cobra.Command) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	defer t.Flush()
	first := true
	for _, c := range commands {
		if c.GroupID != group.ID || !c.IsAvailableCommand() && c.Name() != "help" {
			continue
		}
		if first {
			fmt.Fprintf(t, "\n%s\n", group.Title)
			first = false
		}
		fmt.Fprintf(t, "  %s\t%s\n", c.Use, c.Short)
	}
}
