package deploy

import (
	"maps"
	"slices"

	"paas/formation"
	"paas/formation/appjson"
	"paas/volume"
)

// Idle returns the process types of a built release that do not run because nobody has said how
// many processes they have: only web runs by default.
func Idle(app volume.App, r volume.Release) (types []string, err error) {
	built, err := app.Built(r.Build)
	if err != nil {
		return nil, err
	}
	tree, err := app.ReleaseTree(r)
	if err != nil {
		return nil, err
	}
	file, err := appjson.Read(tree)
	if err != nil {
		return nil, err
	}
	wanted, err := app.Wanted()
	if err != nil {
		return nil, err
	}
	for _, t := range slices.Sorted(maps.Keys(formation.Lines(built))) {
		_, scaled := wanted.Formation[t]
		_, inFile := file.Formation[t]
		if t != formation.Web && !scaled && !inFile {
			types = append(types, t)
		}
	}
	return types, nil
}
