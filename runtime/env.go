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

// programs is the folder of a build's tree with the programs that it compiled.
const programs = ".paas/bin"

// env returns the environment of a process. It begins empty. Config vars replace our defaults,
// except for PORT and DATA_DIR, without which the app would not work here. tree is the folder of
// the build where the process runs.
func (rt *Runtime) env(
	app volume.App, r volume.Release, built volume.Built, tree string, listens bool,
) map[string]string {
	env := cmdline.Base(rt.PassEnv)
	env["HOME"] = engine.Data // what programs keep there outlives a deploy
	env["PAAS_APP"] = app.Name
	env["PAAS_RELEASE"] = "v" + strconv.Itoa(r.N)
	env["PYTHONUNBUFFERED"] = "1" // else the log of a crashed app is empty
	if built.Kind == "node" || built.Kind == "bun" {
		env["NODE_ENV"] = "production"
	}
	// Older versions recorded paths of this server; the process may see the folders at other paths.
	moved := strings.NewReplacer(tree, engine.Tree, app.Cache(), engine.Cache)
	front := strings.Split(moved.Replace(built.Env["PATH"]), ":")
	has := func(dir string) bool {
		info, err := os.Stat(filepath.Join(tree, dir))
		return err == nil && info.IsDir()
	}
	if has("node_modules/.bin") {
		front = append(front, engine.Tree+"/node_modules/.bin")
	}
	for _, t := range built.Toolchains {
		front = append(front, engine.Toolchains+"/"+t.Bin())
	}
	path := append(front, env["PATH"])
	if has(programs) { // last: a program called env must not replace the command
		path = append(path, engine.Tree+"/"+programs)
	}
	for name, value := range built.Env {
		if name != "PATH" {
			env[name] = moved.Replace(value)
		}
	}
	env["PATH"] = joinPath(path...)
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
