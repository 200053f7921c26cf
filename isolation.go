package main

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

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
