package builder

import (
	"bytes"
	"os"
	"regexp"
	"strings"

	"github.com/Masterminds/semver/v3"

	"paas/builder/tree"
)

// yarn is Yarn 2 and later, a rewrite (https://yarnpkg.com).
var yarn = &installer{
	tool: tool{name: "yarn", install: "Yarn (https://yarnpkg.com/getting-started/install)",
		// yarn run needs the state file of an install, so it is kept with the modules
		env: map[string]string{
			"YARN_INSTALL_STATE_PATH":         "node_modules/.yarn-install-state.gz",
			"COREPACK_ENABLE_DOWNLOAD_PROMPT": "0",
		}},
	locks:  []string{"yarn.lock"},
	files:  []string{".yarnrc.yml", ".npmrc"},
	frozen: []string{"yarn", "install", "--immutable"},
	loose:  []string{"yarn", "install", "--no-immutable"},
	script: []string{"yarn", "run"},
	env: func(b *build) map[string]string {
		return map[string]string{
			"YARN_ENABLE_TELEMETRY":     "0",
			"YARN_GLOBAL_FOLDER":        b.cache("yarn"),
			"YARN_ENABLE_PROGRESS_BARS": "0",
		}
	},
	local: regexp.MustCompile(`@(link|file|portal|workspace):([^.\s]|\.[^":])`),
}

// classic is Yarn 1. Its program and lock file have the same names as those of [yarn].
var classic = &installer{
	tool: tool{name: "yarn", install: "Yarn 1 (npm install -g yarn@1)",
		env: map[string]string{
			"SKIP_YARN_COREPACK_CHECK":        "1",
			"COREPACK_ENABLE_DOWNLOAD_PROMPT": "0",
		}},
	locks: []string{"yarn.lock"},
	files: []string{".yarnrc", ".npmrc"},
	frozen: []string{
		"yarn", "install", "--frozen-lockfile", "--production=false", "--non-interactive",
		"--no-progress",
	},
	loose: []string{
		"yarn", "install", "--no-lockfile", "--production=false", "--non-interactive",
		"--no-progress",
	},
	script: []string{"yarn", "run", "--silent"},
	env: func(b *build) map[string]string {
		return map[string]string{"YARN_CACHE_FOLDER": b.cache("yarn")}
	},
	local: regexp.MustCompile(`\b(link|file):\S`),
}

// isNewYarn reports whether a tree is for Yarn 2 or later. It looks at the lock file, then at the
// version that packageManager names, then for the settings file of the new Yarn.
func isNewYarn(dir *os.Root, version string) bool {
	lock, _ := tree.Read(dir, "yarn.lock", maxLock)
	switch {
	case bytes.Contains(lock, []byte("\n__metadata:")):
		return true
	case bytes.Contains(lock, []byte("# yarn lockfile v1")):
		return false
	case version != "":
		return !strings.HasPrefix(version, "1.") && version != "1"
	}
	return tree.IsFile(dir, ".yarnrc.yml")
}

// yarnWrote are the formats of a yarn.lock. With --immutable, a Yarn refuses what another would
// write. Found by having each version write one.
var yarnWrote = []writer{
	{"4", ">=2 <3.1", 2}, {"5", "~3.1", 3}, {"6", ">=3.2 <4", 3}, {"8", ">=4 <4.14", 4},
	{"9", "~4.14", 4}, {"10", ">=4.15", 4},
}

// yarnWriter returns the versions of the new Yarn that could have written the lock file.
func yarnWriter(dir *os.Root) requirement {
	lock, _ := tree.Read(dir, "yarn.lock", maxLock)
	newer := requirement{
		source: "yarn.lock", text: "2 or newer",
		fits: func(v *semver.Version) (bool, bool) { return v.Major() > 1, false },
	}
	for _, r := range writersOf("yarn.lock", lock, yarnWrote) {
		strict := r.meets
		r.fits = func(v *semver.Version) (bool, bool) { return v.Major() > 1, !strict(v) }
		return r
	}
	return newer
}

var yarnSetting = regexp.MustCompile(`(?m)^(yarnPath|nodeLinker):[ \t]*["']?([^"'\s#]+)`)

// yarnSettings reads two settings of .yarnrc.yml: the path of the tree's own Yarn, and how it
// installs.
func yarnSettings(dir *os.Root) (path, linker string) {
	content, _ := tree.Read(dir, ".yarnrc.yml", 1<<20)
	for _, found := range yarnSetting.FindAllSubmatch(content, -1) {
		if string(found[1]) == "yarnPath" {
			path = string(found[2])
		} else {
			linker = string(found[2])
		}
	}
	return path, linker
}

// hasOwnYarn reports whether the tree contains its own Yarn. The server's Yarn runs it.
func hasOwnYarn(dir *os.Root) bool {
	path, _ := yarnSettings(dir)
	return path != ""
}

// useNodeModules makes Yarn install into node_modules. By default it writes a loader instead
// (Plug'n'Play) that plain node does not use: `node server.js` in a Procfile would find no package.
func useNodeModules(b *build, dir *os.Root, env map[string]string) error {
	if _, linker := yarnSettings(dir); linker == "node-modules" || linker == "pnpm" {
		return nil
	}
	env["YARN_NODE_LINKER"] = "node-modules"
	b.setEnv("YARN_NODE_LINKER", "node-modules")
	for _, loader := range []string{".pnp.cjs", ".pnp.loader.mjs"} {
		if err := b.tree.RemoveAll(loader); err != nil {
			return err
		}
	}
	return nil
}
