package local

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"paas/builder/cmdline"
	"paas/runtime"
)

// processEnv is the environment of a process: built from nothing, config vars above our defaults,
// below what would break the app's place here (PORT, DATA_DIR, the marker, which launch adds).
func (l *Local) processEnv(spec runtime.Spec, port int) map[string]string {
	env := cmdline.Base(l.PassEnv)
	env["HOME"] = spec.Tree
	if spec.Data != "" {
		env["HOME"] = spec.Data // what a program keeps at home outlives a deploy, and a tree stays as built
	}
	env["PAAS_APP"] = spec.App
	env["PAAS_RELEASE"] = "v" + strconv.Itoa(spec.Release)
	env["PYTHONUNBUFFERED"] = "1" // else the log of a crashed app is empty
	if spec.Built.Kind == "node" || spec.Built.Kind == "bun" {
		env["NODE_ENV"] = "production"
	}
	front := strings.Split(spec.Built.Env["PATH"], ":")
	for _, dir := range []string{".paas/bin", "node_modules/.bin"} {
		if dir = filepath.Join(spec.Tree, dir); isDir(dir) {
			front = append(front, dir)
		}
	}
	for name, value := range spec.Built.Env {
		if name != "PATH" {
			env[name] = value
		}
	}
	env["PATH"] = joinPath(append(front, env["PATH"])...)
	maps.Copy(env, spec.Config)
	delete(env, "PORT")
	delete(env, "DATA_DIR")
	if port != 0 {
		env["PORT"] = strconv.Itoa(port)
	}
	if spec.Data != "" {
		env["DATA_DIR"] = spec.Data
	}
	return env
}

func joinPath(dirs ...string) string {
	return strings.Join(slices.DeleteFunc(dirs, func(dir string) bool { return dir == "" }), ":")
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
