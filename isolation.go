package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"paas/engine/local"
	"paas/engine/local/confine"
	"paas/engine/local/firewall"
	"paas/volume"
)

// confined returns the isolation of apps that the settings ask for and the machine allows.
func (s *server) confined() (local.Confined, error) {
	c := s.config
	if c.Isolation == "off" {
		return local.Confined{Isolation: confine.Isolation{Missing: "PAAS_ISOLATION=off"}}, nil
	}
	dir, err := s.vol.TempDir()
	if err != nil { // a full disk must not keep the server from starting
		dir, err = os.MkdirTemp("", "paas-")
	}
	if err != nil {
		return local.Confined{}, err
	}
	isolation := confine.Probe(dir)
	if err := os.RemoveAll(dir); err != nil {
		return local.Confined{}, err
	}
	wall, open := s.firewall(isolation)
	open = append(isolation.Open(), open...)
	if c.Isolation == "required" && len(open) > 0 {
		return local.Confined{}, fmt.Errorf("PAAS_ISOLATION=required: what this server has is %s; "+
			"open to apps: %s; run it as root on Linux 6.12 or later, with nftables, "+
			"or take PAAS_ISOLATION=auto", isolation, strings.Join(open, ", "))
	}
	uids := volume.UIDs{First: c.FirstUID, Last: c.LastUID, Foreign: confine.UIDInUse}
	user := func(name string) (int, error) {
		app, err := s.vol.App(name)
		if err != nil {
			return 0, err
		}
		return app.UID(uids)
	}
	return local.Confined{
		Isolation: isolation, User: user, Read: c.AppRead, Write: c.AppWrite, Firewall: wall, Open: open,
	}, nil
}

// firewall returns the firewall that closes the ports of other apps and the cloud's metadata to
// apps. If there is none, open says what stays open.
func (s *server) firewall(isolation confine.Isolation) (_ *firewall.Firewall, open []string) {
	c := s.config
	if c.AppNet == "open" {
		return nil, nil // as the setting asks
	}
	why := "apps have the server's user"
	if isolation.Users {
		f := &firewall.Firewall{
			Name: c.Root, First: local.FirstPort, Last: local.LastPort, Log: s.log.With("role", "engine"),
		}
		for _, addr := range []string{c.HTTPAddr, c.SSHAddr, c.SidecarAddr} {
			if _, text, err := net.SplitHostPort(addr); err == nil {
				if port, _ := strconv.Atoi(text); port >= f.First && port <= f.Last {
					f.Spare = append(f.Spare, port)
				}
			}
		}
		err := f.Try()
		if err == nil {
			return f, nil
		}
		why = err.Error()
	}
	return nil, []string{"ports of other apps and the cloud's metadata (" + why + ")"}
}

// isolationFile returns the path of the file in which the app role publishes the isolation in
// isolation.
func (p *paas) isolationFile() string { return filepath.Join(p.config.Root, "run", "isolation") }

// announceIsolation logs the isolation in force and publishes it for commands.
func (s *server) announceIsolation() {
	now := s.engine.Isolation()
	if now.Missing == "" {
		s.log.Info("apps are kept apart", "by", now.By)
		if len(now.Open) > 0 {
			s.log.Warn("not everything is kept from apps", "open", strings.Join(now.Open, ", "))
		}
	} else {
		s.log.Warn("apps are not kept apart from each other and from the server", "why", now.Missing)
	}
	if err := s.vol.WriteFile(s.isolationFile(), []byte(now.By), 0o600); err != nil {
		s.log.Error("cannot tell commands what keeps apps apart", "err", err)
	}
}

// isolation returns the isolation in force, or "" if no apps run.
func (p *paas) isolation() (string, error) {
	if !p.vol.Claimed(volume.RoleApp) {
		return "", nil
	}
	text, err := os.ReadFile(p.isolationFile())
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return string(text), err
}
