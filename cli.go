package main

import (
	"fmt"
	"os"
	"os/user"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"paas/access"
	"paas/command"
	"paas/command/cli"
	"paas/config"
	"paas/terminal"
)

// localRoot returns the root of the command line on the server. words are the arguments after the
// program's name.
func localRoot(words []string) *cobra.Command {
	flags := pflag.NewFlagSet("settings", pflag.ContinueOnError)
	config.Flags(flags)
	load := func() (*config.Config, error) {
		c, _, err := config.Load(flags, os.Environ())
		if err != nil {
			return nil, cli.UsageError(err)
		}
		return c, nil
	}
	server := cli.Table{
		Rows: command.Rows(),
		Begin: func(c *command.Call) (end func(), err error) {
			settings, err := load()
			if err != nil {
				return nil, err
			}
			p := newPaas(settings)
			if err := p.vol.Open(); err != nil {
				return nil, err
			}
			c.Server, c.Caller = p.server(), localCaller()
			c.Settings = serverSettings(flags)
			c.OnTerminal = terminal.Is(c.Stdout)
			c.Console = localConsole{c.Stdin, c.Stdout}
			return func() { p.vol.Close() }, nil
		},
	}
	here := cli.Table{ // rows that need no volume
		Rows:  ownRows(flags, load),
		Begin: func(*command.Call) (func(), error) { return func() {}, nil },
	}
	root := cli.New("paas", "paas turns a server into a git remote that runs what you push.",
		access.Admin, words, server, here)
	root.Version = buildVersion()
	root.PersistentFlags().AddFlagSet(flags)
	for _, cmd := range []*cobra.Command{serveCommand(load), syncCommand(load)} {
		cmd.GroupID = string(command.Operate)
		root.AddCommand(cmd)
	}
	root.SetCompletionCommandGroupID(string(command.Operate))
	root.InitDefaultCompletionCmd(words...)
	if completion, _, err := root.Find([]string{"completion"}); err == nil {
		completion.Short = "print the script that completes commands in bash, zsh, fish or PowerShell"
	}
	extra(root)
	return root
}

// extra adds the commands of a binary that was built with a tag.
var extra = func(*cobra.Command) {}

// ownRows are the rows that only the command line on the server has.
func ownRows(flags *pflag.FlagSet, load func() (*config.Config, error)) []command.Row {
	return []command.Row{setupRow(flags), healthRow(load), reloadRow(load), watchRow(), versionRow()}
}

// localCaller returns the caller for a person with a shell on the server. Such a person can read
// and write every file of the volume anyway, so no key restricts them.
func localCaller() command.Caller {
	name := "server"
	if u, err := user.Current(); err == nil {
		name = u.Username + "@server"
	}
	return command.Caller{Identity: access.Local(name), Door: "cli"}
}

// serverSettings returns the server's own settings, from flags and the environment.
func serverSettings(flags *pflag.FlagSet) func() ([]command.Setting, error) {
	return func() (all []command.Setting, err error) {
		_, settings, err := config.Load(flags, os.Environ())
		for _, s := range settings {
			all = append(all, command.Setting(s))
		}
		return all, err
	}
}

func versionRow() command.Row {
	return command.Verb[struct{}, version]{
		Head: command.Head{
			Name: "version", Group: command.Operate, Needs: access.Anyone,
			Example: "--format json",
			Short:   "show which version this is",
		},
		Run:  func(*command.Call, struct{}) (version, error) { return version{buildVersion()}, nil },
		Text: func(p *command.Page, v version) { fmt.Fprintln(p, "paas", v.Version) },
	}
}

type version struct {
	Version string `json:"version"`
}
