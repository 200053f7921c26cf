package runtime

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// passed are the server's own variables that builds and processes may see: how to reach the
// network from here. Everything else of its environment stays with the server.
var passed = []string{
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
	"SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS",
}

// baseEnv is what every build and process sees of the server: PATH, LANG, TZ and what is passed on.
func (l *Local) baseEnv() map[string]string {
	env := map[string]string{"LANG": "C.UTF-8", "PATH": "/usr/local/bin:/usr/bin:/bin"}
	for _, name := range slices.Concat([]string{"PATH", "LANG", "TZ"}, passed, l.PassEnv) {
		if value := os.Getenv(name); value != "" {
			env[name] = value
		}
	}
	return env
}

// processEnv is the environment of a process: built from nothing, config vars above our defaults,
// below what would break the app's place here (PORT, DATA_DIR, the marker, which launch adds).
func (l *Local) processEnv(spec Spec, port int) map[string]string {
	env := l.baseEnv()
	env["HOME"] = spec.Tree
	if spec.Data != "" {
		env["HOME"] = spec.Data // what a program keeps at home outlives a deploy, and a tree stays as built
	}
	env["PAAS_APP"] = spec.App
	env["PAAS_RELEASE"] = "v" + strconv.Itoa(spec.Release)
	env["PYTHONUNBUFFERED"] = "1" // else the log of a crashed app is empty
	if spec.Built.Kind == "node" {
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

// buildEnv is the environment of a build's commands. What they keep at home stays in the cache.
func (l *Local) buildEnv(job BuildJob) map[string]string {
	env := l.baseEnv()
	env["HOME"] = filepath.Join(job.Cache, "home")
	env["PAAS_APP"] = job.App
	maps.Copy(env, job.Config)
	return env
}

// with is env and what else is to be in it.
func with(env map[string]string, more map[string]string) map[string]string {
	env = maps.Clone(env)
	maps.Copy(env, more)
	return env
}

// environ is env in the form the kernel takes, sorted.
func environ(env map[string]string) []string {
	list := make([]string, 0, len(env)+1)
	for name, value := range env {
		list = append(list, name+"="+value)
	}
	slices.Sort(list)
	return list
}

func joinPath(dirs ...string) string {
	return strings.Join(slices.DeleteFunc(dirs, func(dir string) bool { return dir == "" }), ":")
}

func isDir(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}
