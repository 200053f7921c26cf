package command

import (
	"maps"
	"slices"

	"paas/formation"
	"paas/volume"
)

// Complete returns words that the field can have, for completion in a shell: apps, and of the named
// app the process types and releases. It returns none for other fields.
func (c *Call) Complete(f Field, app string) []string {
	if c.Server == nil { // the row needs none
		return nil
	}
	if f.Name == "APP" {
		names, _ := c.apps() // what cannot be read cannot be offered
		return names
	}
	of, err := c.App(app)
	if err != nil {
		return nil
	}
	switch f.Name {
	case "TYPE", "TYPE[.N]":
		return c.types(of)
	case "TYPE=N":
		var pairs []string
		for _, t := range c.types(of) {
			pairs = append(pairs, t+"=")
		}
		return pairs
	case "process":
		names, _ := c.logged(of)
		return slices.Compact(slices.Sorted(slices.Values(append(c.types(of), names...))))
	case "vN":
		return releaseNames(of)
	case "FOLDER":
		stored, _ := storageOf(of)
		var folders []string
		for _, s := range stored {
			folders = append(folders, s.Path)
		}
		return folders
	}
	return nil
}

// types are the process types of the app's live release, the web process first.
func (c *Call) types(app volume.App) []string {
	w, err := app.Wanted()
	if err != nil || app.Live() == 0 {
		return nil
	}
	lines, _, err := c.formation(app, w)
	if err != nil {
		return nil
	}
	return slices.SortedFunc(maps.Keys(lines), formation.Compare)
}

// releaseNames are the releases that a person may mean, the newest first.
func releaseNames(app volume.App) (names []string) {
	const most = 20
	numbers := app.Numbers()
	for _, n := range slices.Backward(numbers[max(0, len(numbers)-most):]) {
		names = append(names, releaseName(n))
	}
	return names
}
