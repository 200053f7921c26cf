package main

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"paas/config"
	"paas/deploy"
	"paas/sshd"
	"paas/upstream"
	"paas/volume"
)

// paas is what every command needs to know, in the server and on the command line.
type paas struct {
	config    *config.Config
	vol       *volume.Volume
	keys      *sshd.Keys
	elsewhere *upstream.Client // reaches repositories elsewhere
}

func newPaas(c *config.Config) *paas {
	return &paas{
		config: c, vol: newVolume(c), keys: &sshd.Keys{Dir: filepath.Join(c.Root, "ssh")},
		elsewhere: &upstream.Client{MaxPack: c.MaxPush},
	}
}

// The ports that people connect to: as the settings say, or else as the role that listens announced
// in run/, since in the settings the port may be 0.

func (p *paas) httpPort() string {
	return p.port(p.config.PublicHTTPPort, volume.RoleApp, p.config.HTTPAddr)
}

func (p *paas) sshPort() string {
	return p.port(p.config.PublicSSHPort, volume.RoleGit, p.config.SSHAddr)
}

// hooksPort is empty where no sidecar listens.
func (p *paas) hooksPort() string {
	if !p.vol.Claimed(volume.RoleSidecar) {
		return ""
	}
	port, _ := os.ReadFile(p.portFile(volume.RoleSidecar))
	return string(port)
}

func (p *paas) port(public, role, addr string) string {
	if public != "" {
		return public
	}
	_, port, _ := net.SplitHostPort(addr)
	if port != "0" {
		return port
	}
	if announced, err := os.ReadFile(p.portFile(role)); err == nil && p.vol.Claimed(role) {
		return string(announced)
	}
	return port
}

// announce writes the port that role listens on, for other processes. A full disk is no reason not
// to serve: then commands show the port of the settings.
func (s *server) announce(role string, addr net.Addr) {
	port := strconv.Itoa(addr.(*net.TCPAddr).Port)
	if err := s.vol.WriteFile(s.portFile(role), []byte(port), 0o644); err != nil {
		os.Remove(s.portFile(role)) // it has the port of an earlier start
		s.log.Error("cannot tell commands the port", "role", role, "port", port, "err", err)
	}
}

func (p *paas) portFile(role string) string {
	return filepath.Join(p.vol.Root, "run", role+".port")
}

// room is what a deploy needs of the disk.
func (p *paas) room() deploy.Room { return deploy.Room{MinFree: p.config.MinFree} }

// serving says whether anything runs the volume's apps.
func (p *paas) serving() bool { return p.vol.Claimed(volume.RoleApp) }

// url is an app's address for people; with an empty name the front door's own.
func (p *paas) url(app string) string {
	host := p.config.Domain
	if app != "" && app != p.config.DefaultApp {
		host = app + "." + host
	}
	return "http://" + withPort(host, p.httpPort(), "80")
}

// gitHost is where git and ssh connect.
func (p *paas) gitHost() string { return withPort(p.config.Domain, p.sshPort(), "22") }

func withPort(host, port, usual string) string {
	if port == usual {
		return host
	}
	return net.JoinHostPort(host, port)
}

// hint is how a person runs a verb from afar.
func (p *paas) hint(verb, app string) string {
	port := ""
	if ssh := p.sshPort(); ssh != "22" {
		port = "-p " + ssh + " "
	}
	return strings.TrimSpace(fmt.Sprintf("ssh %spaas@%s %s %s", port, p.config.Domain, verb, app))
}
