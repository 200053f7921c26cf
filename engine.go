package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path"

	"paas/engine"
	"paas/engine/local"
	"paas/toolchain"
	"paas/volume"
)

// newEngine returns the engine that the settings ask for. It is not open yet.
func (s *server) newEngine() engine.Engine {
	c := s.config
	confined := local.Confined{
		User: s.appUser, Read: c.AppRead, Write: c.AppWrite,
		OpenNet: c.AppNet == "open", Doors: []string{c.HTTPAddr, c.HTTPSAddr, c.SSHAddr, c.SidecarAddr},
	}
	if c.Isolation == "off" {
		confined.Off = "PAAS_ISOLATION=off"
	}
	l := &local.Local{
		Root: c.Root, Layout: s.layout, PassEnv: c.PassEnv, Confined: confined,
		BuildTimeout: c.BuildTimeout, BuildMemory: c.BuildMemory, MaxBuilds: c.MaxBuilds,
		Log:        s.log.With("role", "engine"),
		Buildpacks: buildpacks{s.remotes, s.vol},
	}
	if c.Toolchains == "fetch" {
		l.Toolchains = &toolchain.Store{Volume: s.vol, Registry: npmRegistry()}
	}
	return l
}

// npmRegistry returns the registry in the server's environment, under the names that npm reads;
// empty: the default.
func npmRegistry() string {
	return cmp.Or(os.Getenv("npm_config_registry"), os.Getenv("NPM_CONFIG_REGISTRY"))
}

// appUser returns the user id of an app.
func (s *server) appUser(name string, foreign func(uid int) bool) (int, error) {
	app, err := s.vol.App(name)
	if err != nil {
		return 0, err
	}
	return app.UID(volume.UIDs{First: s.config.FirstUID, Last: s.config.LastUID, Foreign: foreign})
}

// openEngine opens the engine. It returns an error if the settings ask for more isolation than the
// engine has.
func (s *server) openEngine() error {
	s.engine = s.newEngine()
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
func (s *server) layout(image engine.Image) (at local.Layout, err error) {
	app, err := s.vol.App(image.App)
	if err != nil {
		return at, err
	}
	at = local.Layout{
		Cache: app.Cache(), Data: app.Data(), Logs: app.Logs(), Toolchains: s.vol.ToolchainFolder(),
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
