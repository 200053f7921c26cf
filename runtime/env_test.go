package runtime

import (
	"os"
	"path/filepath"
	"testing"

	"paas/engine"
	"paas/rig"
	"paas/volume"
)

func TestEnvironment(t *testing.T) {
	t.Setenv("SECRET", "of the server")
	t.Setenv("PASSED", "on")
	t.Setenv("HTTPS_PROXY", "http://proxy")
	s := newStage(t)
	rt := s.runtime()
	rt.PassEnv = []string{"PASSED"}
	tree := rig.Tree(t, map[string]string{"node_modules/.bin/x": "", ".paas/bin/y": ""})
	cache := s.app.Cache()
	r := volume.Release{N: 7, Settings: volume.Settings{Config: map[string]string{
		"SHARED": "config", "PORT": "1", "DATA_DIR": "/x", "LANG": "tlh",
	}}}
	built := volume.Built{Kind: "node", Env: map[string]string{
		"PATH": filepath.Join(cache, "node/bin") + ":" + tree + "/front", "FROM_BUILD": tree + "/x", "NAMED": engine.Cache + "/y", "SHARED": "build",
	}, Toolchains: []volume.Toolchain{{Name: "node", Version: "20.17.0"}}}
	env := rt.env(s.app, r, built, tree, true)
	for name, want := range map[string]string{
		"PASSED": "on", "HTTPS_PROXY": "http://proxy", "PAAS_APP": "blog", "PAAS_RELEASE": "v7", "SECRET": "",
		"DATA_DIR": engine.Data, "HOME": engine.Data, "PORT": engine.Port, "NODE_ENV": "production", "PYTHONUNBUFFERED": "1",
		"FROM_BUILD": engine.Tree + "/x", "NAMED": engine.Cache + "/y", "SHARED": "config", "LANG": "tlh",
		"PATH": engine.Cache + "/node/bin:" + engine.Tree + "/front:" + engine.Tree + "/node_modules/.bin:" + engine.Toolchains + "/node/20.17.0/bin:" + os.Getenv("PATH") + ":" + engine.Tree + "/.paas/bin",
	} {
		if env[name] != want {
			t.Errorf("%s is %q, want %q", name, env[name], want)
		}
	}
	r.Settings.Config = map[string]string{"NODE_ENV": "x", "PORT": "1"}
	env = rt.env(s.app, r, volume.Built{Kind: "node"}, tree, false)
	if env["NODE_ENV"] != "x" {
		t.Errorf("NODE_ENV is %q", env["NODE_ENV"])
	}
	if port, there := env["PORT"]; there {
		t.Errorf("what does not listen has the port %q", port)
	}
}
