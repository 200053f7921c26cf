package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"

	"paas/command/cli"
	"paas/config"
	"paas/notify"
	"paas/sidecar"
	"paas/volume"
)

// newSidecar returns a sidecar without a listener.
func (p *paas) newSidecar(log *slog.Logger) *sidecar.Sidecar {
	c := p.config
	return &sidecar.Sidecar{
		Volume: p.vol, Remote: p.remotes, Mode: volume.Mode(c.Mode),
		MaxFiles: c.MaxFiles, MaxTree: c.MaxTree, DiskSpace: p.diskSpace(),
		URL: p.addresses.App, Advice: p.advice, Announce: p.announce(log), Log: log,
	}
}

// announce returns a function that tells other systems about a release that is live.
func (p *paas) announce(log *slog.Logger) func(context.Context, volume.App, volume.Release) {
	n := notify.Notifier{Exec: p.config.SidecarExec, Call: p.config.SidecarCall, Log: log}
	return func(ctx context.Context, app volume.App, r volume.Release) {
		n.Announce(ctx, notify.Version{
			App: app.Name, Commit: r.Commit, Release: r.String(), Branch: r.Branch, URL: p.addresses.App(app.Name),
		})
	}
}

func (s *server) listenSidecar() error {
	if err := errors.Join(s.fixedSource().EndOthers(s.vol), s.setFixedSource()); err != nil {
		return err
	}
	if program := s.config.SidecarExec; program != "" {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("PAAS_SIDECAR_EXEC: %w", err)
		}
	}
	s.sidecar = s.newSidecar(s.log.With("role", "sidecar"))
	s.sidecar.Addr, s.sidecar.Spares = s.config.SidecarAddr, s.spares
	if s.sidecar.Addr == "" {
		s.publish(volume.RoleSidecar, "")
		return nil
	}
	var err error
	if s.sidecar.Listener, err = s.listenDoor("PAAS_SIDECAR_ADDR", s.sidecar.Addr); err != nil {
		return err
	}
	if err := s.sidecar.Listen(); err != nil {
		return err
	}
	s.publish(volume.RoleSidecar, s.sidecar.Address().String())
	return nil
}

// fixedSource returns the source that the settings name.
func (p *paas) fixedSource() sidecar.Fixed {
	s := p.config.Source
	return sidecar.Fixed{
		App: s.App, URL: s.URL, Branch: s.Branch, Tag: s.Tag, Commit: s.Commit, Every: s.Every,
		Files: map[volume.Credential]string{
			volume.SourceToken: s.TokenFile, volume.SourceKey: s.KeyFile,
			volume.SourceKnownHosts: s.KnownHostsFile,
		},
	}
}

// setFixedSource names the setting that is wrong, if one is.
func (p *paas) setFixedSource() error {
	err := p.fixedSource().Set(p.vol)
	var wrong *sidecar.FixedError
	if errors.As(err, &wrong) {
		return fmt.Errorf("PAAS_SOURCE_%s: %w", strings.ToUpper(wrong.Field), wrong.Err)
	}
	return err
}

func syncCommand(load func() (*config.Config, error)) *cobra.Command {
	cmd := &cobra.Command{
		Use: "sync [--once]", Args: cli.Arguments(0, 0), DisableFlagsInUseLine: true,
		Short: "follow remote repositories, as serve sidecar does; with --once check them once and end",
	}
	once := cmd.Flags().Bool("once", false,
		"look at each once, deploy what is new, and end with status 0 if all went well")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		if !*once {
			return serve(cmd, load, []string{volume.RoleSidecar})
		}
		c, err := load()
		if err != nil {
			return err
		}
		p := newPaas(c)
		defer p.remotes.Close()
		if err := p.vol.Open(); err != nil {
			return err
		}
		defer p.vol.Close()
		if err := p.setFixedSource(); err != nil {
			return err
		}
		return p.syncOnce(cmd.Context(), cmd)
	}
	return cmd
}

func (p *paas) syncOnce(ctx context.Context, cmd *cobra.Command) error {
	s := p.newSidecar(slog.New(slog.NewTextHandler(cmd.ErrOrStderr(), nil)))
	return s.Once(ctx, cmd.OutOrStdout())
}
