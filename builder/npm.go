package builder

var npm = &installer{
	tool:   tool{name: "npm", install: "npm (part of https://nodejs.org, or the package npm)"},
	locks:  []string{"npm-shrinkwrap.json", "package-lock.json"},
	files:  []string{".npmrc"},
	frozen: []string{"npm", "ci", "--include=dev", "--no-audit", "--no-fund", "--loglevel=error"},
	loose: []string{
		"npm", "install", "--include=dev", "--no-audit", "--no-fund", "--loglevel=error",
		"--no-package-lock",
	},
	// https://docs.npmjs.com/cli/configuring-npm/package-lock-json#lockfileversion
	wrote:  []writer{{"2", ">=7", 0}, {"3", ">=7", 0}},
	script: []string{"npm", "run", "--loglevel=error"},
	env: func(b *build) map[string]string {
		return map[string]string{
			"npm_config_cache":           b.cache("npm"),
			"npm_config_update_notifier": "false",
		}
	},
}
