package main

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path"

	"paas/engine"
	"paas/engine/local"
	"paas/engine/wire"
	"paas/toolchain"
	"paas/volume"
)

// engineConn names the connection between a server and the engine of its keeper.
const engineConn = "engine"

// newEngine returns the engine that runs apps, in the keeper. It is not open yet.
func (p *paas) newEngine(log *slog.Logger) *local.Local {
	c := p.config
	confined := local.Confined{
		User: p.appUser, Read: c.AppRead, Write: c.AppWrite,
		OpenNet: c.AppNet == "open", Doors: []string{c.HTTPAddr, c.HTTPSAddr, c.SSHAddr, c.SidecarAddr},
	}
	if c.Isolation == "off" {
		confined.Off = "PAAS_ISOLATION=off"
	}
	return &local.Local{
		Root: c.Root, Layout: p.layout, PassEnv: c.PassEnv, Confined: confined, Log: log.With("role", "engine"),
	}
}

// newBuilder returns what builds, in a server, beside the engine of its keeper. It is not open yet.
func (p *paas) newBuilder(log *slog.Logger, client *wire.Client) *local.Local {
	c, l := p.config, p.newEngine(log)
	l.Beside = &local.Beside{Guard: client.Guard, Mind: client.Mind}
	l.BuildTimeout, l.BuildMemory, l.MaxBuilds = c.BuildTimeout, c.BuildMemory, c.MaxBuilds
	l.Buildpacks = buildpacks{p.remotes, p.vol}
	if c.Toolchains == "fetch" {
		l.Toolchains = &toolchain.Store{Volume: p.vol, Registry: npmRegistry()}
	}
	return l
}

// serveEngine returns what the keeper does for each server: it serves the engine.
func serveEngine(l *local.Local, log *slog.Logger) func(*net.UnixConn) {
	log = log.With("role", "engine")
	return func(conn *net.UnixConn) {
		if err := wire.Serve(conn, l, log); err != nil {
			log.Error("the connection to a server has ended", "err", err)
		}
	}
}

// npmRegistry returns the registry in the server's environment, under the names that npm reads;
// empty: the default.
func npmRegistry() string {
	return cmp.Or(os.Getenv("npm_config_registry"), os.Getenv("NPM_CONFIG_REGISTRY"))
}

// appUser returns the user id of an app.
func (p *paas) appUser(name string, foreign func(uid int) bool) (int, error) {
	app, err := p.vol.App(name)
	if err != nil {
		return 0, err
	}
	return app.UID(volume.UIDs{First: p.config.FirstUID, Last: p.config.LastUID, Foreign: foreign})
}

// openEngine opens the keeper's engine for this server. It returns an error if the settings ask for
// more isolation than the engine has.
func (s *server) openEngine() error {
	conn, err := s.parent.Conn(engineConn)
	if err != nil {
		return err
	}
	client := &wire.Client{Socket: conn}
	client.Builder = s.newBuilder(s.log, client)
	s.engine = client
	if err := s.engine.Open(); err != nil {
		return err
	}
	if has := s.engine.Isolation(); s.config.Isolation == "required" && len(has.Open) > 0 {
		return errors.Join(fmt.Errorf("PAAS_ISOLATION=required: what this server has is %s; "+
			"run it as root on Linux 6.12 or later, with nftables, or take PAAS_ISOLATION=auto",
			has.By), s.engine.Close())
	}
	return nil
}

// layout tells the engine where the folders of an image are on the volume.
func (p *paas) layout(image engine.Image) (at local.Layout, err error) {
	app, err := p.vol.App(image.App)
	if err != nil {
		return at, err
	}
	at = local.Layout{
		Cache: app.Cache(), Data: app.Data(), Logs: app.Logs(), Toolchains: p.vol.ToolchainFolder(),
	}
	if image.Build != "" {
		release := volume.Release{Build: image.Build, Settings: volume.Settings{BuildDir: image.Folder}}
		at.Top = app.BuildTree(image.Build)
		at.Tree, err = app.ReleaseTree(release)
		at.Replaced, at.Storage = app.BuildReplaced(image.Build), map[string]string{}
		for _, folder := range image.Storage {
			at.Storage[path.Join(image.Folder, folder)] = app.StorageFiles(folder)
		}
	}
	return at, err
}
