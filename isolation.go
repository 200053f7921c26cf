package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"paas/engine"
	"paas/volume"
)

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
	text, err := json.Marshal(now)
	if err == nil {
		err = s.vol.WriteFile(s.isolationFile(), text, 0o600)
	}
	if err != nil {
		s.log.Error("cannot tell commands what keeps apps apart", "err", err)
	}
}

// isolation returns the isolation in force, or "" if no apps run.
func (p *paas) isolation() (string, error) {
	now, err := p.isolated()
	return now.By, err
}

// isolated returns the isolation in force; the zero one if no apps run.
func (p *paas) isolated() (now engine.Isolation, err error) {
	if !p.vol.Claimed(volume.RoleApp) {
		return now, nil
	}
	text, err := os.ReadFile(p.isolationFile())
	if errors.Is(err, fs.ErrNotExist) {
		return now, nil
	}
	if err == nil {
		err = json.Unmarshal(text, &now)
	}
	return now, err
}
