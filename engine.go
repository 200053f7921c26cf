package main

import (
	"paas/engine"
	"paas/engine/local"
	"paas/volume"
)

// newEngine returns the engine that the settings ask for. It is not open yet.
func (s *server) newEngine() (engine.Engine, error) {
	c := s.config
	confined, err := s.confined()
	if err != nil {
		return nil, err
	}
	return &local.Local{
		Root: c.Root, Layout: s.layout, PassEnv: c.PassEnv, Confined: confined,
		BuildTimeout: c.BuildTimeout, BuildMemory: c.BuildMemory, MaxBuilds: c.MaxBuilds,
		Log:        s.log.With("role", "engine"),
		Buildpacks: buildpacks{s.remotes, s.vol},
	}, nil
}

// layout tells the engine where the folders of an image are on the volume.
func (s *server) layout(image engine.Image) (at local.Layout, err error) {
	app, err := s.vol.App(image.App)
	if err != nil {
		return at, err
	}
	at = local.Layout{Cache: app.Cache(), Data: app.Data(), Logs: app.Logs()}
	if image.Build != "" {
		release := volume.Release{Build: image.Build, Settings: volume.Settings{BuildDir: image.Folder}}
		at.Top = app.BuildTree(image.Build)
		at.Tree, err = app.ReleaseTree(release)
	}
	return at, err
}
