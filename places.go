package main

import (
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"

	"paas/access"
	"paas/command"
	"paas/config"
	"paas/deploy"
	"paas/receiver"
	"paas/remote"
	"paas/volume"
)

// paas is what every command needs to know, in the server and on the command line.
type paas struct {
	config  *config.Config
	vol     *volume.Volume
	keys    *access.Keys
	remotes *remote.Client   // reaches repositories elsewhere
	own     map[string]place // of the roles of this process
}

func newPaas(c *config.Config) *paas {
	return &paas{
		config: c, vol: newVolume(c), keys: &access.Keys{Dir: filepath.Join(c.Root, "ssh")},
		remotes: &remote.Client{MaxPack: c.MaxPush},
	}
}

// room is what a deploy needs of the disk.
func (p *paas) room() deploy.Room { return deploy.Room{MinFree: p.config.MinFree} }

// serving says whether anything runs the volume's apps.
func (p *paas) serving() bool { return p.vol.Claimed(volume.RoleApp) }

// url is an app's address for people; with an empty name the front door's own.
func (p *paas) url(app string) string {
	front := p.place(volume.RoleApp)
	host := front.Host
	if app != "" && app != front.First {
		host = app + "." + host
	}
	return "http://" + withPort(host, front.Port, "80")
}

// gitHost is where git and ssh connect.
func (p *paas) gitHost() string {
	door := p.place(volume.RoleGit)
	return withPort(door.Host, door.Port, "22")
}

// hooks is the address of an app's webhook; empty where no sidecar takes any.
func (p *paas) hooks(app string) string {
	sidecar := p.place(volume.RoleSidecar)
	if sidecar.Listen == "" || !p.vol.Claimed(volume.RoleSidecar) {
		return ""
	}
	return "http://" + withPort(sidecar.Host, sidecar.Port, "80") + "/hooks/" + app
}

func withPort(host, port, usual string) string {
	if port == usual {
		return host
	}
	return net.JoinHostPort(host, port)
}

// hint is how a person runs a verb from afar.
func (p *paas) hint(verb, app string) string {
	door := p.place(volume.RoleGit)
	port := ""
	if door.Port != "22" {
		port = "-p " + door.Port + " "
	}
	return strings.TrimSpace(fmt.Sprintf("ssh %spaas@%s %s %s", port, door.Host, verb, app))
}

// server is what the commands know of the server.
func (p *paas) server() *command.Server {
	c := p.config
	return &command.Server{
		Volume: p.vol, Keys: p.keys, Remote: p.remotes, Room: p.room(),
		Mode: volume.Mode(c.Mode), Prove: c.Prove, Grace: c.Grace,
		URL: p.url, GitHost: p.gitHost, Hint: p.hint, Webhook: p.hooks, Isolation: p.isolation,
		SSHHost: func() string { return p.place(volume.RoleGit).Host },
		Agree:   receiver.Agree, Sidecar: p.newSidecar(slog.New(slog.DiscardHandler)),
	}
}
