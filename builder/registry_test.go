package builder

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"paas/builder/cmdline"
	"paas/rig"
	"paas/rig/registry"
	"paas/volume"
)

// newRegistry returns a registry with one package, greet.
func newRegistry(t *testing.T) *registry.Registry {
	t.Helper()
	r := registry.New()
	t.Cleanup(r.Close)
	r.Publish("greet", "1.0.0", map[string]any{"bin": map[string]string{"greet": "cli.js"}},
		map[string]string{
			"index.js": `module.exports = () => "hello"`,
			"cli.js":   "#!/usr/bin/env node\nconsole.log('from the program')",
		})
	return r
}

// registryConfig makes every installer use r.
func registryConfig(r *registry.Registry) map[string]string {
	return map[string]string{"npm_config_registry": r.URL, "pnpm_config_registry": r.URL,
		"YARN_REGISTRY": r.URL, "BUN_CONFIG_REGISTRY": r.URL,
		"YARN_NPM_REGISTRY_SERVER": r.URL, "YARN_UNSAFE_HTTP_WHITELIST": "127.0.0.1",
		"YARN_ENABLE_HARDENED_MODE": "0"}
}

// withTool puts the tool's folder at the front of PATH if it has a version with the given prefix.
// Otherwise it skips the test.
func withTool(t *testing.T, tool, version string) {
	t.Helper()
	for _, dir := range filepath.SplitList(os.Getenv("PATH")) {
		out, err := exec.Command(filepath.Join(dir, tool), "--version").Output()
		if err == nil && strings.HasPrefix(string(out), version) {
			t.Setenv("PATH", dir+":"+os.Getenv("PATH"))
			return
		}
	}
	t.Skipf("SKIP: no %s %s on this machine", tool, version)
}

// Each installer installs what its lock file lists, once: a push that changes only the source makes
// no request to the registry and runs no install.
func TestInstallOnce(t *testing.T) {
	rig.Need(t, "node")
	for _, test := range []struct {
		tool, version string
		lock          []string // makes the lock file
		file, install string
		more          map[string]string
	}{
		{
			"npm", "", []string{"npm", "install", "--package-lock-only"}, "package-lock.json",
			"npm ci", nil,
		},
		{
			"pnpm", "", []string{"pnpm", "install", "--lockfile-only"}, "pnpm-lock.yaml",
			"pnpm install", nil,
		},
		{"yarn", "1.", []string{"yarn", "install"}, "yarn.lock", "yarn install", nil},
		{
			"yarn", "4.", []string{"yarn", "install", "--no-immutable"}, "yarn.lock",
			"yarn install", map[string]string{".yarnrc.yml": "nodeLinker: node-modules\n"},
		},
		{
			"yarn", "4.", []string{"yarn", "install", "--no-immutable"}, "yarn.lock",
			"yarn install", map[string]string{".yarnrc.yml": "# Plug'n'Play\n"},
		},
		{"bun", "", []string{"bun", "install", "--lockfile-only"}, "bun.lock", "bun install", nil},
	} {
		t.Run(strings.TrimSuffix(test.tool+"-"+test.version, "-"), func(t *testing.T) {
			withTool(t, test.tool, test.version)
			b, r := newBuilder(t), newRegistry(t)
			for _, script := range []string{"", "greet > made.txt"} {
				cache := t.TempDir()
				files := map[string]string{"server.js": `console.log(require("greet")())`,
					"node_modules/old/x.js": "committed by mistake",
					"package.json":          `{"name": "app", "private": true, "main": "server.js", "dependencies": {"greet": "^1.0.0"}, "scripts": {"build": "` + script + `"}}`}
				for name, content := range test.more {
					files[name] = content
				}
				files[test.file] = lockFile(t, files, registryConfig(r), test.file, test.lock)
				build := func(page string) (string, string) {
					t.Helper()
					files["server.js"] = page
					dir, out := rig.Tree(t, files), &rig.Screen{}
					built, err := b.Build(t.Context(), Job{
						App:    "blog",
						Tree:   dir,
						Cache:  cache,
						Out:    out,
						Config: registryConfig(r),
					})
					if err != nil {
						t.Fatalf("err = %v; log:\n%s", err, out)
					}
					return out.String(), printed(t, b, dir, built,
						"node server.js && greet && cat made.txt")
				}
				want := "hello\nfrom the program\n"
				if script != "" {
					want += "from the program\n"
				}
				out, page := build(`console.log(require("greet")())`)
				rig.WantIn(t, "first build", out, test.install)
				rig.WantIn(t, "first page", page, want)
				before := r.Requests.Load()
				out, page = build(`console.log(require("greet")() + "!")`)
				rig.WantIn(t, "second build", out,
					"node_modules of an earlier build ("+test.file+" has not changed)")
				rig.WantIn(t, "second page", page, strings.Replace(want, "hello", "hello!", 1))
				if strings.Contains(out, test.install) || r.Requests.Load() != before {
					t.Errorf("%d requests to the registry:\n%s", r.Requests.Load()-before, out)
				}
			}
		})
	}
}

// lockFile returns the lock file that the tool itself writes for files.
func lockFile(t *testing.T, files, config map[string]string, name string, argv []string) string {
	t.Helper()
	dir := rig.Tree(t, files)
	env := cmdline.With(cmdline.Base(nil), config)
	env["HOME"] = t.TempDir()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Dir, cmd.Env = dir, cmdline.Environ(env)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%q: %v\n%s", argv, err, out)
	}
	lock, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(lock)
}

// A lock file that does not match package.json fails the build; nothing is resolved again.
func TestInstallIsFrozen(t *testing.T) {
	rig.Need(t, "node")
	for _, test := range []struct{ tool, version, lock, want string }{
		{"npm", "", "package-lock.json", "npm ci: exit status 1"},
		{"pnpm", "", "pnpm-lock.yaml", "pnpm install: exit status 1"},
		{"yarn", "1.", "yarn.lock", "yarn install: exit status 1"},
		{"yarn", "4.", "yarn.lock", "yarn install: exit status 1"},
		{"bun", "", "bun.lock", "bun install: exit status 1"},
	} {
		t.Run(strings.TrimSuffix(test.tool+"-"+test.version, "-"), func(t *testing.T) {
			withTool(t, test.tool, test.version)
			locks := map[string]string{
				"package-lock.json": `{"name": "app", "lockfileVersion": 3, "packages": {"": {"name": "app"}}}`,
				"pnpm-lock.yaml": "lockfileVersion: '9.0'\nsettings:\n  autoInstallPeers: true\n  " +
					"excludeLinksFromLockfile: false\nimporters:\n  .: {}\n",
				"yarn.lock": "# yarn lockfile v1\n",
				"bun.lock":  `{"lockfileVersion": 1, "workspaces": {"": {"name": "app"}}, "packages": {}}`,
			}
			if test.version == "4." {
				locks["yarn.lock"] = "\n__metadata:\n  version: 8\n  cacheKey: 10c0\n"
			}
			b, r, out := newBuilder(t), newRegistry(t), &rig.Screen{}
			dir := rig.Tree(t, map[string]string{test.lock: locks[test.lock], "server.js": "",
				"package.json": `{"name": "app", "dependencies": {"greet": "^1.0.0"}}`})
			_, err := b.Build(t.Context(), Job{
				App:    "blog",
				Tree:   dir,
				Cache:  t.TempDir(),
				Out:    out,
				Config: registryConfig(r),
			})
			want := fmt.Sprintf("%s: the lock file does not fit; run %s install and commit %s",
				test.want, test.tool, test.lock)
			if rig.Message(err) != want {
				t.Errorf("err = %v\nwant %s; log:\n%s", err, want, out)
			}
		})
	}
}

// Workspaces use the lock file at the top of the repository, even if the app is in a folder.
func TestInstallWorkspace(t *testing.T) {
	rig.Need(t, "node", "npm")
	b, r, out := newBuilder(t), newRegistry(t), &rig.Screen{}
	files := map[string]string{
		"package.json":              `{"name": "all", "private": true, "workspaces": ["services/*"]}`,
		"services/api/package.json": `{"name": "api", "version": "1.0.0", "dependencies": {"greet": "^1.0.0"}}`,
		"services/api/server.js":    `console.log(require("greet")())`,
	}
	files["package-lock.json"] = lockFile(t, files, registryConfig(r), "package-lock.json",
		[]string{"npm", "install", "--package-lock-only"})
	top := rig.Tree(t, files)
	dir := filepath.Join(top, "services/api")
	built, err := b.Build(t.Context(), Job{
		App:    "blog",
		Tree:   dir,
		Top:    top,
		Cache:  t.TempDir(),
		Out:    out,
		Config: registryConfig(r),
	})
	if err != nil {
		t.Fatalf("err = %v; log:\n%s", err, out)
	}
	rig.WantIn(t, "build", out.String(), "npm ci", "package-lock.json belongs to several packages")
	if got := printed(t, b, dir, volume.Built{Env: built.Env},
		"node server.js && greet"); got != "hello\nfrom the program\n" {
		t.Errorf("printed %q", got)
	}
}
