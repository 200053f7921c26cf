package main

import (
	"fmt"
	"os"
	"os/user"

	"github.com/spf13/cobra"

	"paas/command"
	"paas/config"
)

// localRoot is the command line on the server. words are those after the program's name.
func localRoot(words []string) *cobra.Command {
	load := func(cmd *cobra.Command) (*config.Config, error) {
		c, _, err := config.Load(cmd.Flags(), os.Environ())
		if err != nil {
			return nil, usageError(err)
		}
		return c, nil
	}
	root := newRoot("paas", "paas turns a server into a git remote that runs what you push.", true, words,
		func(cmd *cobra.Command) (*command.Call, func(), error) {
			settings, err := load(cmd)
			if err != nil {
				return nil, nil, err
			}
			p := newPaas(settings)
			if err := p.vol.Open(); err != nil {
				return nil, nil, err
			}
			c := newCall(cmd, p.server())
			c.Caller = localCaller()
			c.Settings = serverSettings(cmd)
			c.OnTerminal = isTerminal(c.Stdout)
			c.Console = localConsole{c.Stdin, c.Stdout}
			return c, func() { p.vol.Close() }, nil
		})
	config.Flags(root.PersistentFlags())
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

// localCaller is the person with a shell on the server, who can read and write every file of the volume:
// no key could keep them from anything.
func localCaller() command.Caller {
	name := "server"
	if u, err := user.Current(); err == nil {
		name = u.Username + "@server"
	}
	return command.Caller{Name: name, Admin: true}
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

func versionCommand() *cobra.Command {
	return &cobra.Command{
		Use: "version", DisableFlagsInUseLine: true, Short: "show which version this is", Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, err := fmt.Fprintln(cmd.OutOrStdout(), "paas", buildVersion())
			return err
		},
	}
}
