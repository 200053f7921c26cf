//go:build !linux

package confine

import (
	"errors"
	"log/slog"
	"os/exec"
	"syscall"
)

// This file stands in for what only Linux has: nothing is confined.

// Probe finds nothing here.
func Probe(string, ...string) Isolation { return Isolation{Missing: "needs Linux"} }

// Enter does nothing here.
func (b *Box) Enter(*syscall.SysProcAttr) error { return nil }

// MayStay returns true here.
func (b *Box) MayStay() bool { return true }

// Untraceable does nothing here.
func Untraceable() error { return nil }

// Own does nothing here.
func Own(string, int) error { return nil }

// As runs f.
func (b *Box) As(f func() error) error { return f() }

// In does nothing here.
func (b *Box) In(*Sandbox) {}

// Starts returns false here.
func (b *Box) Starts() bool { return false }

// Start returns [errors.ErrUnsupported].
func (b *Box) Start(*exec.Cmd, func(int) error) error { return errors.ErrUnsupported }

// Launcher does nothing here.
type Launcher struct {
	Self []string
	Log  *slog.Logger
}

// Open returns [errors.ErrUnsupported].
func (l *Launcher) Open() error { return errors.ErrUnsupported }

// Close does nothing here.
func (l *Launcher) Close() {}

// Sandbox returns [errors.ErrUnsupported].
func (l *Launcher) Sandbox(string) (*Sandbox, error) { return nil, errors.ErrUnsupported }

// Sandbox exists on Linux only.
type Sandbox struct{}

// Leave does nothing here.
func (s *Sandbox) Leave() {}

// Helper returns false here.
func Helper([]string) bool { return false }
