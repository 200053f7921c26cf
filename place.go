package main

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"

	"paas/volume"
)

// place is where a role is reached. A server may have been given its addresses by flags or by an
// environment that other shells do not have, so each role publishes its place in run/<role>.json.
type place struct {
	Listen string `json:"listen"`          // host:port of the socket; empty: the role has none
	Host   string `json:"host"`            // for people
	Port   string `json:"port"`            // for people; a container's published one
	First  string `json:"first,omitempty"` // the app that answers at Host itself
}

// place is where role is reached: as it published, or as the settings say while it does not run.
func (p *paas) place(role string) place {
	if own, ok := p.own[role]; ok {
		return own
	}
	var published place
	// What a dead server left there does not count. A live one removed it before it listened.
	if p.vol.Claimed(role) {
		text, err := os.ReadFile(p.placeFile(role))
		if err == nil && json.Unmarshal(text, &published) == nil {
			return published
		}
	}
	return p.placeAt(role, map[string]string{
		volume.RoleGit: p.config.SSHAddr, volume.RoleApp: p.config.HTTPAddr, volume.RoleSidecar: p.config.SidecarAddr,
	}[role])
}

// placeAt is the place of role with these settings, where it listens on listen.
func (p *paas) placeAt(role, listen string) place {
	at := place{Listen: listen, Host: p.config.Domain}
	switch role {
	case volume.RoleGit:
		at.Port = p.config.PublicSSHPort
	case volume.RoleApp:
		at.Port, at.First = p.config.PublicHTTPPort, p.config.DefaultApp
	}
	if at.Port == "" {
		_, at.Port, _ = net.SplitHostPort(listen)
	}
	return at
}

// publish tells other processes where role is reached. listen is the address of its socket; empty: it
// has none. A full disk is no reason not to serve: commands then use their own settings.
func (s *server) publish(role, listen string) {
	at := s.placeAt(role, listen)
	if s.own == nil {
		s.own = map[string]place{}
	}
	s.own[role] = at
	text, err := json.Marshal(at)
	if err == nil {
		err = s.vol.WriteFile(s.placeFile(role), append(text, '\n'), 0o600)
	}
	if err != nil {
		s.log.Error("cannot tell commands the address", "role", role, "addr", listen, "err", err)
	}
}

func (p *paas) placeFile(role string) string {
	return filepath.Join(p.vol.Root, "run", role+".json")
}
