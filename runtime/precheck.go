package runtime

import (
	"fmt"
	"os"
	"path/filepath"

	"paas/builder/tree"
	"paas/formation"
	"paas/volume"
)

// precheck returns what can be seen to be wrong with the Procfile and app.json of a release before
// its build, which may take minutes. A release that is built already has passed it.
func (d *deploy) precheck(r volume.Release) error {
	app := d.loop.app
	if _, err := app.Built(r.Build); err == nil {
		return nil
	}
	dir, err := app.ReleaseTree(r)
	if err != nil { // the build will report that
		return nil
	}
	i := newInstance(d.loop, d.n)
	i.release = r
	if err := i.find(); err != nil {
		return err
	}
	if err := i.loop.app.CheckStorage(r, i.image.Storage); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	content, err := tree.ReadIf(root, "Procfile", formation.MaxProcfile)
	if content == nil || err != nil {
		return err
	}
	if i.built.Processes, err = formation.ParseProcfile(content); err != nil {
		return err
	}
	if _, err := i.cron(); err != nil || hasBuildpack(r, dir) { // one may add a web process
		return err
	}
	wanted, err := d.wanted(r)
	if err != nil || len(i.wanted(wanted)) > 0 {
		return err
	}
	if err := i.nothingRuns(wanted); err != nil {
		return fmt.Errorf("the Procfile has %w", err)
	}
	return nil
}

// hasBuildpack reports whether a buildpack may make the build.
func hasBuildpack(r volume.Release, dir string) bool {
	for _, name := range []string{".buildpacks", "bin/compile"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err == nil {
			return true
		}
	}
	return r.Settings.Buildpack != ""
}
