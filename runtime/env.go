package runtime

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"paas/builder/cmdline"
	"paas/engine"
	"paas/volume"
)

// env is the environment of a process: built from nothing, config vars above our defaults, below what would
// break the app's place here (PORT, DATA_DIR). tree is the folder of its build.
func (rt *Runtime) env(app volume.App, r volume.Release, built volume.Built, tree string, listens bool) map[string]string {
	env := cmdline.Base(rt.PassEnv)
	env["HOME"] = engine.Data // what a program keeps at home outlives a deploy, and a tree stays as built
	env["PAAS_APP"] = app.Name
	env["PAAS_RELEASE"] = "v" + strconv.Itoa(r.N)
	env["PYTHONUNBUFFERED"] = "1" // else the log of a crashed app is empty
	if built.Kind == "node" || built.Kind == "bun" {
		env["NODE_ENV"] = "production"
	}
	// A build says where it put things on this volume; a process may find them elsewhere.
	moved := strings.NewReplacer(tree, engine.Tree, app.Cache(), engine.Cache)
	front := strings.Split(moved.Replace(built.Env["PATH"]), ":")
	for _, dir := range []string{".paas/bin", "node_modules/.bin"} {
		if info, err := os.Stat(filepath.Join(tree, dir)); err == nil && info.IsDir() {
			front = append(front, engine.Tree+"/"+dir)
		}
	}
	for name, value := range built.Env {
		if name != "PATH" {
			env[name] = moved.Replace(value)
		}
	}
	env["PATH"] = joinPath(append(front, env["PATH"])...)
	maps.Copy(env, r.Settings.Config)
	delete(env, "PORT")
	if listens {
		env["PORT"] = engine.Port
	}
	env["DATA_DIR"] = engine.Data
	return env
}

func joinPath(dirs ...string) string {
	return strings.Join(slices.DeleteFunc(dirs, func(dir string) bool { return dir == "" }), ":")
}
