package local

import (
	"path/filepath"

	"paas/engine"
)

// Layout is where the folders of an image are on this machine.
type Layout struct {
	Top   string // the build
	Tree  string // the image's folder: Top, or below it
	Cache string // build cache of the app
	Data  string // the app's own files
	Logs  string // folder for the output of units; empty: it is not written
}

// logFile is the path of the log of a place.
func (l Layout) logFile(name engine.UnitName, index int) string {
	return filepath.Join(l.Logs, place(name.Type, index)+".log")
}
