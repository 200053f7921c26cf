package builder

import "regexp"

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
	files: []string{".npmrc", "pnpm-workspace.yaml", ".pnpmfile.cjs", ".pnpmfile.mjs"},
	frozen: []string{
		"pnpm", "install", "--frozen-lockfile", "--prod=false", "--reporter=append-only",
		"--config.extend-node-path=false",
	},
	loose:  []string{"pnpm", "install", "--no-lockfile", "--prod=false", "--reporter=append-only"},
	script: []string{"pnpm", "run"},
	copies: []string{"--package-import-method=clone-or-copy"},
	env: func(b *build) map[string]string {
		return map[string]string{
			"npm_config_store_dir":  b.cache("pnpm"),
			"pnpm_config_store_dir": b.cache("pnpm"),
		}
	},
	// a package may be called require-directory, and its version follows a colon and a space
	local: regexp.MustCompile(`\b(link|file):\S|\bresolution: \{directory: `),
}
