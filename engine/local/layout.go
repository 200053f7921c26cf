package local

import (
	"path/filepath"
	"strings"

	"paas/engine"
	"paas/engine/local/confine"
)

// Layout is where the folders of an image are on this machine.
type Layout struct {
	Top        string // the build
	Tree       string // the image's folder: Top, or below it
	Cache      string // build cache of the app
	Data       string // the app's own files
	Toolchains string // what [engine.Toolchains] stands for; apps may read it
	Logs       string // folder for the output of units; empty: it is not written

	Storage  map[string]string // folder below Top -> folder with the files that processes see there
	Replaced string            // folder for what the build has there, if the tree must have links
}

// Where the processes of an app see its folders, if they have mounts of their own. Each is the same
// for all apps and builds, so that files may contain these paths. The top of the build is
// [confine.App].
const (
	ownCache      = confine.Beside + "/cache"
	ownData       = confine.Beside + "/data"
	ownStorage    = confine.Beside + "/storage/"
	ownToolchains = confine.Beside + "/toolchains"
)

// places returns the places of a build, which writes to the cache, or of a process.
func (l Layout) places(build bool) []confine.Place {
	list := []confine.Place{
		{From: l.Top, At: confine.App, Writable: true},
		{From: l.Cache, At: ownCache, Writable: build},
	}
	if l.Toolchains != "" {
		list = append(list, confine.Place{From: l.Toolchains, At: ownToolchains})
	}
	return list
}

// named returns env with placeholders instead of the paths of folders, so that it holds wherever
// the folders are later.
func (l Layout) named(env map[string]string) (map[string]string, error) {
	tree, err := filepath.EvalSymlinks(l.Tree) // else .. would lead elsewhere
	if err != nil {
		return nil, err
	}
	top, err := filepath.EvalSymlinks(l.Top)
	if err != nil {
		return nil, err
	}
	up, err := filepath.Rel(tree, top)
	if err != nil {
		return nil, err
	}
	names := strings.NewReplacer(l.Tree, engine.Tree, l.Top, engine.Tree+"/"+up, l.Cache, engine.Cache)
	for name, value := range env {
		env[name] = names.Replace(value)
	}
	return env, nil
}
