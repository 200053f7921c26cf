package builder

import (
	"os"
	"regexp"
)

// bun handles a package.json whose packages Bun installs and whose programs it runs
// (https://bun.com/docs).
var bun = language{
	kind:   "bun",
	detect: func(root *os.Root) (project, error) { return detectNode(root, true) },
}

var bunTool = tool{name: "bun", install: "Bun (https://bun.com, or npm install -g bun)"}

var bunInstaller = &installer{
	tool:   bunTool,
	locks:  []string{"bun.lock", "bun.lockb"},
	files:  []string{"bunfig.toml", ".npmrc"},
	frozen: []string{"bun", "install", "--frozen-lockfile"},
	loose:  []string{"bun", "install", "--no-save"},
	script: []string{"bun", "run"},
	copies: []string{"--backend=copyfile"},
	env: func(b *build) map[string]string {
		return map[string]string{"BUN_INSTALL_CACHE_DIR": b.cache("bun"), "DO_NOT_TRACK": "1"}
	},
	wrote: []writer{{"0", ">=1.2", 1}, {"1", ">=1.2", 1}},
	local: regexp.MustCompile(`(link|file|workspace):\S`),
}
