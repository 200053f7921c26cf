package local

import (
	"path/filepath"

	"paas/engine"
)

// Layout is where the folders of an image are on this machine.
type Layout struct {
	Top   string // the build
	Tree  string // the image's folder: Top, or below it
	Cache string // what builds of the app keep
	Data  string // the app's own files
	Logs  string // where the output of units is written down; empty: nowhere
}

// logFile is the log of one place of a unit.
func (l Layout) logFile(name engine.UnitName, index int) string {
	return filepath.Join(l.Logs, place(name.Type, index)+".log")
}
