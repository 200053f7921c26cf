package main

import (
	"log/slog"
	"path/filepath"

	"paas/access"
	"paas/address"
	"paas/command"
	"paas/config"
	"paas/deploy"
	"paas/git"
	"paas/receiver"
	"paas/remote"
	"paas/volume"
)

// paas has what every command needs, in the server and on the command line.
type paas struct {
	config    *config.Config
	vol       *volume.Volume
	keys      *access.Keys
	remotes   *remote.Client // reads remote repositories
	addresses *address.Book
}

func newPaas(c *config.Config) *paas {
	vol := newVolume(c)
	return &paas{
		config: c, vol: vol, keys: &access.Keys{Dir: filepath.Join(c.Root, "ssh"), Volume: vol},
		remotes: &remote.Client{MaxPack: c.MaxPush},
		addresses: &address.Book{
			Volume: vol, Domain: c.Domain, DefaultApp: c.DefaultApp,
			SSH: c.SSHAddr, HTTP: c.HTTPAddr, Hooks: c.SidecarAddr,
			PublicSSHPort: c.PublicSSHPort, PublicHTTPPort: c.PublicHTTPPort,
			HTTPS: c.HTTPSAddr, PublicHTTPSPort: c.PublicHTTPSPort,
		},
	}
}

// rights decides who may do what.
func (p *paas) rights() access.Rights { return access.Rights{Keys: p.keys} }

// diskSpace returns the disk space that a deploy needs.
func (p *paas) diskSpace() deploy.DiskSpace { return deploy.DiskSpace{MinFree: p.config.MinFree} }

// server returns what the commands know of the server.
func (p *paas) server() *command.Server {
	c := p.config
	return &command.Server{
		Volume: p.vol, Keys: p.keys, Tokens: access.Tokens{Keys: p.keys}, Rights: p.rights(),
		DiskSpace: p.diskSpace(),
		Modules:   deploy.Modules{Remote: p.remotes},
		Inspector: &git.Inspector{MaxFiles: c.MaxFiles, MaxBytes: c.MaxTree},
		Mode:      volume.Mode(c.Mode), Prove: c.Prove, Grace: c.Grace,
		URL: p.addresses.App, GitHost: p.addresses.Git, GitHTTPS: p.addresses.GitHTTPS, Hint: p.addresses.Verb,
		Webhook: p.addresses.Webhook, Isolation: p.isolation,
		SSHHost:  func() string { return p.addresses.Of(volume.RoleGit).Host },
		Domain:   func() string { return p.addresses.Of(volume.RoleApp).Host },
		HTTPS:    func() bool { return p.addresses.Of(volume.RoleApp).HTTPS != "" },
		Resolver: p.resolver(), Certificates: ownCertificates{p.vol},
		Examine: p.examine, Agree: receiver.Agree, Sidecar: p.newSidecar(slog.New(slog.DiscardHandler)),
	}
}

// advice is a remedy for people who reach the server by SSH.
func (p *paas) advice(r volume.Remedy) string { return command.Advice(r, p.addresses.Verb) }
