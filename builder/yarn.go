package builder

import (
	"bytes"
	"os"
	"regexp"
	"strings"

	"paas/builder/tree"
)

// yarn is the one from version 2 on, which began anew (https://yarnpkg.com).
var yarn = &installer{
	kind: "yarn",
	tool: tool{name: "yarn", install: "install Yarn (https://yarnpkg.com/getting-started/install)",
		// yarn run wants to see the state of an install, so that is kept with the modules
		env: map[string]string{"YARN_INSTALL_STATE_PATH": "node_modules/.yarn-install-state.gz", "COREPACK_ENABLE_DOWNLOAD_PROMPT": "0"}},
	locks:  []string{"yarn.lock"},
	files:  []string{".yarnrc.yml", ".npmrc"},
	frozen: []string{"yarn", "install", "--immutable"},
	loose:  []string{"yarn", "install", "--no-immutable"},
	script: []string{"yarn", "run"},
	env: func(b *build) map[string]string {
		return map[string]string{"YARN_ENABLE_TELEMETRY": "0", "YARN_GLOBAL_FOLDER": b.cache("yarn"), "YARN_ENABLE_PROGRESS_BARS": "0"}
	},
	local: regexp.MustCompile(`@(link|file|portal|workspace):[^.\s]|@(link|file|portal|workspace):\.[^":]`),
}

// classic is Yarn 1, which shares its program's and its lock file's name with its successor.
var classic = &installer{
	kind: "yarn 1",
	tool: tool{name: "yarn", install: "install Yarn 1 (npm install -g yarn@1)",
		env: map[string]string{"SKIP_YARN_COREPACK_CHECK": "1", "COREPACK_ENABLE_DOWNLOAD_PROMPT": "0"}},
	locks:  []string{"yarn.lock"},
	files:  []string{".yarnrc", ".npmrc"},
	frozen: []string{"yarn", "install", "--frozen-lockfile", "--production=false", "--non-interactive", "--no-progress"},
	loose:  []string{"yarn", "install", "--no-lockfile", "--production=false", "--non-interactive", "--no-progress"},
	script: []string{"yarn", "run", "--silent"},
	env: func(b *build) map[string]string {
		return map[string]string{"YARN_CACHE_FOLDER": b.cache("yarn")}
	},
	local: regexp.MustCompile(`\b(link|file):\S`),
}

// isNewYarn tells from the lock file which Yarn a tree is for; where that says nothing, from the version that
// packageManager names and the file of settings that only the new one reads.
func isNewYarn(has *os.Root, version string) bool {
	lock, _ := tree.Read(has, "yarn.lock", maxLock)
	switch {
	case bytes.Contains(lock, []byte("\n__metadata:")):
		return true
	case bytes.Contains(lock, []byte("# yarn lockfile v1")):
		return false
	case version != "":
		return !strings.HasPrefix(version, "1.") && version != "1"
	}
	return tree.IsFile(has, ".yarnrc.yml")
}

var yarnSetting = regexp.MustCompile(`(?m)^(yarnPath|nodeLinker):[ \t]*["']?([^"'\s#]+)`)

// yarnSettings are two of .yarnrc.yml: which Yarn, and how it installs.
func yarnSettings(has *os.Root) (path, linker string) {
	content, _ := tree.Read(has, ".yarnrc.yml", 1<<20)
	for _, found := range yarnSetting.FindAllSubmatch(content, -1) {
		if string(found[1]) == "yarnPath" {
			path = string(found[2])
		} else {
			linker = string(found[2])
		}
	}
	return path, linker
}

// bringsYarn says whether the tree has a Yarn of its own, to which the server's hands over.
func bringsYarn(has *os.Root) bool {
	path, _ := yarnSettings(has)
	return path != ""
}

// asModules has Yarn install into node_modules where it would leave a loader instead (Plug'n'Play),
// which node alone does not know: a Procfile's `node server.js` would find nothing.
func asModules(b *build, has *os.Root, env map[string]string) error {
	if _, linker := yarnSettings(has); linker == "node-modules" || linker == "pnpm" {
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
