//go:build !linux

package confine

import (
	"errors"
	"log/slog"
	"os/exec"
)

// Launcher does nothing here.
type Launcher struct {
	Self []string
	Log  *slog.Logger
}

// Sandbox exists on Linux only.
type Sandbox struct{}

// Open returns [errors.ErrUnsupported].
func (l *Launcher) Open() error { return errors.ErrUnsupported }

// Close does nothing here.
func (l *Launcher) Close() {}

// Sandbox returns [errors.ErrUnsupported].
func (l *Launcher) Sandbox(string) (*Sandbox, error) { return nil, errors.ErrUnsupported }

// Leave does nothing here.
func (s *Sandbox) Leave() {}

// In does nothing here.
func (b *Box) In(*Sandbox) {}

// Starts returns false here.
func (b *Box) Starts() bool { return false }

// Start returns [errors.ErrUnsupported].
func (b *Box) Start(*exec.Cmd, func(int) error) error { return errors.ErrUnsupported }

// Helper returns false here.
func Helper([]string) bool { return false }
