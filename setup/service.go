package setup

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// Service is a unit of systemd.
type Service struct {
	systemctl []string
	unit      string
}

// FindService returns the unit of the machine or, with user, of this user; ok is false if systemd
// does not run here, or has no such unit.
func FindService(ctx context.Context, unit string, user bool) (s Service, ok bool) {
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return s, false
	}
	s = Service{[]string{"systemctl"}, unit}
	if user {
		s.systemctl = append(s.systemctl, "--user")
	}
	return s, s.run(ctx, "cat", unit) == nil
}

// Active reports whether the unit runs.
func (s Service) Active(ctx context.Context) bool { return s.run(ctx, "is-active", s.unit) == nil }

// Start starts the unit, now and with the machine. If changed, one that runs reads its settings again.
// It blocks until systemd has done that.
func (s Service) Start(ctx context.Context, changed bool) error {
	if err := s.run(ctx, "enable", s.unit); err != nil {
		return err
	}
	if changed {
		return s.run(ctx, "reload-or-restart", s.unit)
	}
	return s.run(ctx, "start", s.unit)
}

// Log is the command that shows the unit's log.
func (s Service) Log() string {
	return strings.Join(append([]string{"journalctl"}, s.systemctl[1:]...), " ") + " -u " + s.unit + " -n 20"
}

func (s Service) run(ctx context.Context, args ...string) error {
	argv := append(s.systemctl[1:len(s.systemctl):len(s.systemctl)], args...)
	out, err := exec.CommandContext(ctx, s.systemctl[0], argv...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", s.systemctl[0], strings.Join(args, " "), err, bytes.TrimSpace(out))
	}
	return nil
}
