package builder

import (
	"os"
	"regexp"

	"paas/builder/tree"
)

// pnpm makes node_modules relocatable: relative links to a folder of packages inside it. With
// extend-node-path off nothing in it contains its own path, so a copy is as good as an install.
var pnpm = &installer{
	tool: tool{name: "pnpm", install: "pnpm (npm install -g pnpm)",
		// else pnpm downloads the version in packageManager, and checks node_modules before each
		// script
		env: map[string]string{"npm_config_manage_package_manager_versions": "false",
			"pnpm_config_pm_on_fail":             "ignore",
			"npm_config_verify_deps_before_run":  "false",
			"pnpm_config_verify_deps_before_run": "false"}},
	locks: []string{"pnpm-lock.yaml"},
	files: []string{".npmrc", pnpmWorkspace, ".pnpmfile.cjs", ".pnpmfile.mjs"},
	frozen: []string{
		"pnpm", "install", "--frozen-lockfile", "--prod=false", "--reporter=append-only",
		"--config.extend-node-path=false",
	},
	loose:  []string{"pnpm", "install", "--no-lockfile", "--prod=false", "--reporter=append-only"},
	script: []string{"pnpm", "run"},
	copies: []string{"--package-import-method=clone-or-copy"},
	env: func(b *build) map[string]string {
		return map[string]string{
			"npm_config_update_notifier":  "false",
			"pnpm_config_update_notifier": "false",
			"npm_config_store_dir":        b.cache("pnpm"),
			"pnpm_config_store_dir":       b.cache("pnpm"),
		}
	},
	wrote: []writer{ // https://github.com/pnpm/spec/tree/master/lockfile
		{"5.1", ">=3 <5.10", 4}, {"5.2", ">=5.10 <6", 5}, {"5.3", "6.x", 6}, {"5.4", "7.x", 7},
		{"6.0", "8.x", 8}, {"6.1", "8.x", 8}, {"9.0", ">=9", 9},
	},
	// a package may be called require-directory, and its version follows a colon and a space
	local: regexp.MustCompile(`\b(link|file):\S|\bresolution: \{directory: `),
}

const pnpmWorkspace = "pnpm-workspace.yaml"

// isPnpmWorkspace reports whether pnpm-workspace.yaml lists packages. It has other settings, too.
func isPnpmWorkspace(dir *os.Root) bool {
	content, _ := tree.Read(dir, pnpmWorkspace, 1<<20)
	return hasPackages.Match(content)
}

var hasPackages = regexp.MustCompile(`(?m)^packages:`)
