//go:build man

package main

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
	"github.com/spf13/pflag"

	"paas/command"
	"paas/command/cli"
)

// A binary with the tag man has the command that writes the man pages. Only scripts/release builds
// one: the library that writes them is no use to a server.
func init() {
	extra = func(root *cobra.Command) { root.AddCommand(manCommand()) }
}

func manCommand() *cobra.Command {
	return &cobra.Command{
		Use: "man FOLDER", Args: cli.Arguments(1, 1), Hidden: true,
		Short: "write a man page for each command, dated SOURCE_DATE_EPOCH",
		RunE:  func(_ *cobra.Command, args []string) error { return writeManPages(args[0]) },
	}
}

func writeManPages(folder string) error {
	seconds, err := strconv.ParseInt(os.Getenv("SOURCE_DATE_EPOCH"), 10, 64)
	if err != nil {
		return errors.New("SOURCE_DATE_EPOCH is not set to a time in seconds")
	}
	date := time.Unix(seconds, 0).UTC()
	var names []string // a command that is not among the words has no flags
	for _, row := range append(command.Rows(), ownRows(nil, nil)...) {
		names = append(names, row.About().Name)
	}
	root := localRoot(names)
	root.DisableAutoGenTag = true
	pages := append([]*cobra.Command{root}, root.Commands()...)
	for _, cmd := range pages {
		if cmd != root && (!cmd.IsAvailableCommand() || cmd.Name() == "help") {
			continue
		}
		cmd.DisableAutoGenTag = true
		explain(cmd)
		header := &doc.GenManHeader{
			Title: strings.ToUpper(strings.ReplaceAll(cmd.CommandPath(), " ", "-")), Section: "1", Date: &date,
			Source: "paas " + buildVersion(), Manual: "paas manual",
		}
		f, err := os.Create(filepath.Join(folder, strings.ReplaceAll(cmd.CommandPath(), " ", "-")+".1"))
		if err != nil {
			return err
		}
		if err := errors.Join(doc.GenMan(cmd, header, f), f.Close()); err != nil {
			return err
		}
		if cmd == root { // the settings are explained once
			root.PersistentFlags().VisitAll(func(f *pflag.Flag) { f.Hidden = true })
		}
	}
	return nil
}

// explain gives cmd the text and the example that its help shows.
func explain(cmd *cobra.Command) {
	if !cmd.HasParent() {
		cmd.Use, cmd.DisableFlagsInUseLine = "paas COMMAND [OPTIONS]", true
		cmd.Annotations = nil
		cmd.Short = strings.TrimSuffix(strings.TrimPrefix(cmd.Short, "paas "), ".")
		cmd.Long = "paas " + cmd.Short + ".\n\nThe options are the settings of the server. Each is also PAAS_NAME in the environment, " +
			"and a line `name: value` in the settings file: /etc/paas/paas.yaml for the superuser, else paas.yaml in the root."
		return
	}
	cmd.Long = strings.ToUpper(cmd.Short[:1]) + cmd.Short[1:] + "."
	row, ok := command.Find(append(command.Rows(), ownRows(nil, nil)...), cmd.Name())
	if !ok {
		return
	}
	about := row.About()
	if about.More != "" {
		cmd.Long += "\n\n" + about.More
	}
	if len(about.Aliases) > 0 {
		cmd.Long += "\n\nAlso called " + strings.Join(about.Aliases, ", ") + "."
	}
	cmd.Example = strings.TrimSpace("paas " + about.Name + " " + about.Example)
}
