package cmdline

import (
	"maps"
	"os"
	"slices"
)

// passed are the server's own variables that builds and processes may see: how to reach the
// network. The rest of its environment stays private.
var passed = []string{
	"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy",
	"SSL_CERT_FILE", "SSL_CERT_DIR", "NODE_EXTRA_CA_CERTS",
}

// Base returns the variables that every build and process gets from the server: PATH, LANG, TZ,
// proxies and certificates, and those named in pass.
func Base(pass []string) map[string]string {
	env := map[string]string{"LANG": "C.UTF-8", "PATH": "/usr/local/bin:/usr/bin:/bin"}
	for _, name := range slices.Concat([]string{"PATH", "LANG", "TZ"}, passed, pass) {
		if value := os.Getenv(name); value != "" {
			env[name] = value
		}
	}
	return env
}

// With returns a copy of env with more in it.
func With(env map[string]string, more map[string]string) map[string]string {
	env = maps.Clone(env)
	maps.Copy(env, more)
	return env
}

// Environ returns env in the form of [os.Environ], sorted.
func Environ(env map[string]string) []string {
	list := make([]string, 0, len(env)+1)
	for name, value := range env {
		list = append(list, name+"="+value)
	}
	slices.Sort(list)
	return list
}
