package main

import (
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"paas/config"
	"paas/sshd"
	"paas/volume"
)

// paas is what every command needs to know, in the server and on the command line.
type paas struct {
	config *config.Config
	vol    *volume.Volume
	keys   *sshd.Keys
	ports  ports
}

// ports are those that people connect to.
type ports struct {
	HTTP string `json:"http"`
	SSH  string `json:"ssh"`
}

func portOf(addr net.Addr) string { return strconv.Itoa(addr.(*net.TCPAddr).Port) }

// announce writes the ports that the server really listens on, for commands in other processes: in
// the settings they may be 0.
func (p *paas) announce() error {
	content, err := json.Marshal(p.ports)
	if err != nil {
		return err
	}
	return p.vol.WriteFile(p.portsFile(), content, 0o644)
}

// findPorts reads what the running server announced, or else takes the settings' word.
func (p *paas) findPorts() {
	_, p.ports.HTTP, _ = net.SplitHostPort(p.config.HTTPAddr)
	_, p.ports.SSH, _ = net.SplitHostPort(p.config.SSHAddr)
	if content, err := os.ReadFile(p.portsFile()); err == nil && p.serving() {
		json.Unmarshal(content, &p.ports)
	}
}

func (p *paas) portsFile() string { return filepath.Join(p.vol.Root, "run", "ports.json") }

// serving says whether a server runs on the volume.
func (p *paas) serving() bool { return p.vol.Claimed("server") }

// url is an app's address for people; with an empty name the front door's own.
func (p *paas) url(app string) string {
	host := p.config.Domain
	if app != "" {
		host = app + "." + host
	}
	return "http://" + withPort(host, p.ports.HTTP, "80")
}

// gitHost is where git and ssh connect.
func (p *paas) gitHost() string { return withPort(p.config.Domain, p.ports.SSH, "22") }

func withPort(host, port, usual string) string {
	if port == usual {
		return host
	}
	return net.JoinHostPort(host, port)
}

// hint is how a person runs a verb from afar.
func (p *paas) hint(verb, app string) string {
	port := ""
	if p.ports.SSH != "22" {
		port = "-p " + p.ports.SSH + " "
	}
	return strings.TrimSpace(fmt.Sprintf("ssh %spaas@%s %s %s", port, p.config.Domain, verb, app))
}
