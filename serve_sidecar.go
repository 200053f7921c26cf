package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"os/exec"
	"strings"

	"github.com/spf13/cobra"

	"paas/command"
	"paas/command/cli"
	"paas/config"
	"paas/notify"
	"paas/remote"
	"paas/sidecar"
	"paas/volume"
)

// newSidecar returns a sidecar without a listener.
func (p *paas) newSidecar(log *slog.Logger) *sidecar.Sidecar {
	c := p.config
	return &sidecar.Sidecar{
		Volume: p.vol, Remote: p.remotes, Mode: volume.Mode(c.Mode),
		MaxFiles: c.MaxFiles, MaxTree: c.MaxTree, DiskSpace: p.diskSpace(),
		URL: p.addresses.App, Announce: p.announce(log), Log: log,
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
	if err := errors.Join(s.endSourcesOfSettings(), s.sourceOfSettings()); err != nil {
		return err
	}
	if program := s.config.SidecarExec; program != "" {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("PAAS_SIDECAR_EXEC: %w", err)
		}
	}
	s.sidecar = s.newSidecar(s.log.With("role", "sidecar"))
	s.sidecar.Addr = s.config.SidecarAddr
	if s.sidecar.Addr == "" {
		s.publish(volume.RoleSidecar, "")
		return nil
	}
	if err := s.sidecar.Listen(); err != nil {
		return portError("PAAS_SIDECAR_ADDR", s.sidecar.Addr, err)
	}
	s.publish(volume.RoleSidecar, s.sidecar.Address().String())
	return nil
}

// endSourcesOfSettings makes apps stop following a source that only earlier settings named.
func (p *paas) endSourcesOfSettings() error {
	want := p.config.Source
	names, err := p.vol.Apps()
	if err != nil {
		return err
	}
	for _, name := range names {
		app, err := p.vol.App(name)
		if err != nil {
			continue // destroyed in the meantime
		}
		s, ok, err := app.Source()
		ours := err == nil && ok && s.ByEnvironment
		if ours && (want.URL == "" || want.App != name) {
			if err := app.UnsetSource(); err != nil {
				return err
			}
		}
	}
	return nil
}

// sourceOfSettings makes the app that the settings name follow the repository that they name.
func (p *paas) sourceOfSettings() error {
	want := p.config.Source
	if want.URL == "" {
		return nil
	}
	if err := errors.Join(remote.CheckURL(want.URL), checkOptionalBranch(want.Branch)); err != nil {
		return fmt.Errorf("PAAS_SOURCE_URL: %w", err)
	}
	app, err := p.vol.App(want.App)
	if errors.Is(err, volume.ErrNoApp) {
		app, err = p.vol.Create(want.App)
		if errors.Is(err, fs.ErrExist) { // another container created it first
			app, err = p.vol.App(want.App)
		}
	}
	if err != nil {
		return fmt.Errorf("PAAS_SOURCE_APP: %w", err)
	}
	if err := p.credentialsOfSettings(app.Name); err != nil {
		return err
	}
	return app.SetSource(volume.Source{URL: want.URL, Branch: want.Branch, Every: want.Every,
		ByEnvironment: true})
}

func checkOptionalBranch(name string) error {
	if name == "" {
		return nil
	}
	return command.CheckBranch(name)
}

// credentialsOfSettings copies the files that the settings name, such as a container's secrets, to
// where the sidecar looks.
func (p *paas) credentialsOfSettings(app string) error {
	kept := p.vol.Credentials(app)
	for which, path := range map[volume.Credential]string{
		volume.SourceToken: p.config.Source.TokenFile, volume.SourceKey: p.config.Source.KeyFile,
		volume.SourceKnownHosts: p.config.Source.KnownHostsFile,
	} {
		if path == "" {
			if err := kept.Remove(which); err != nil {
				return err
			}
			continue
		}
		content, err := os.ReadFile(path)
		switch {
		case err != nil:
		case which == volume.SourceToken:
			content = bytes.TrimSpace(content)
		case which == volume.SourceKey:
			_, err = remote.PublicKey(content)
		}
		if err == nil {
			err = kept.Set(which, content)
		}
		if err != nil {
			return fmt.Errorf("PAAS_SOURCE_%s_FILE: %w", strings.ToUpper(string(which)), err)
		}
	}
	return nil
}

func syncCommand(load func() (*config.Config, error)) *cobra.Command {
	cmd := &cobra.Command{
		Use: "sync [--once]", Args: cli.Arguments(0, 0), DisableFlagsInUseLine: true,
		Short: "follow repositories hosted elsewhere, as serve sidecar does; with --once look once and end",
	}
	once := cmd.Flags().Bool("once", false,
		"look at each once, deploy what is new, and end with status 0 if all went well")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		c, err := load()
		if err != nil {
			return err
		}
		if !*once {
			return serve(cmd.Context(), c, []string{volume.RoleSidecar}, cmd.OutOrStdout(),
				cmd.ErrOrStderr())
		}
		p := newPaas(c)
		defer p.remotes.Close()
		if err := p.vol.Open(); err != nil {
			return err
		}
		defer p.vol.Close()
		if err := p.sourceOfSettings(); err != nil {
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
