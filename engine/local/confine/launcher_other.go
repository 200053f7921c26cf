//go:build !linux

package confine

import (
	"errors"
	"log/slog"
	"os/exec"
)

// Launcher starts nothing on this system.
type Launcher struct {
	Self []string
	Log  *slog.Logger
}

// Sandbox is there on Linux alone.
type Sandbox struct{}

// Open says that there are no sandboxes.
func (l *Launcher) Open() error { return errors.ErrUnsupported }

// Close does nothing.
func (l *Launcher) Close() {}

// Sandbox says that there is none.
func (l *Launcher) Sandbox(string) (*Sandbox, error) { return nil, errors.ErrUnsupported }

// Leave does nothing.
func (s *Sandbox) Leave() {}

// In does nothing.
func (b *Box) In(*Sandbox) {}

// Starts says that the box starts nothing itself.
func (b *Box) Starts() bool { return false }

// Start says that it cannot.
func (b *Box) Start(*exec.Cmd, func(int) error) error { return errors.ErrUnsupported }

// Helper says that nothing is asked of this binary.
func Helper([]string) bool { return false }
