package confine

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Tools are the folders that programs found by the given PATH need below what is hidden, for [Box].Read: for
// homes are hidden, and toolchains are often installed there.
//
// A folder of PATH is always one of them, unless something hidden lies in it. What it belongs to is too, where it is the bin of
// a folder of its own (~/node-22/bin), or a version manager's (~/.nvm/versions/node/v22/bin). Folders that hold
// more than tools, ~/.cargo its tokens and ~/.local everything, are not shown as a whole.
func Tools(path string, homes, hidden []string) (list []string) {
	add := func(path string) {
		list = append(list, path)
		if real, err := filepath.EvalSymlinks(path); err == nil && real != path {
			list = append(list, real)
		}
	}
	for _, dir := range filepath.SplitList(path) {
		dir = filepath.Clean(dir)
		holds := func(h string) bool { return below(h, dir) }
		if !filepath.IsAbs(dir) || slices.ContainsFunc(slices.Concat(homes, hidden), holds) {
			continue
		}
		add(dir)
		for _, home := range homes {
			if below(dir, home) {
				for _, name := range toolsOf(strings.TrimPrefix(dir, home+"/")) {
					if _, err := os.Stat(filepath.Join(home, name)); err == nil {
						add(filepath.Join(home, name))
					}
				}
			}
		}
	}
	return outermost(list)
}

// toolsOf are the folders of a home that programs in its folder dir need besides that one.
func toolsOf(dir string) []string {
	first, rest, _ := strings.Cut(dir, "/")
	switch needs, mixed := mixed[first]; {
	case mixed:
		return needs
	case slices.Contains(managers, first):
		return []string{first}
	case rest != "" && (filepath.Base(rest) == "bin" || filepath.Base(rest) == ".bin"): // .bin is of a node_modules
		return []string{filepath.Dir(dir)}
	}
	return nil
}

var (
	// managers hold versions of tools, and nothing that is secret.
	managers = []string{".nvm", ".fnm", ".volta", ".n", ".nodenv", ".pyenv", ".rbenv", ".rvm", ".goenv", ".jenv", ".sdkman",
		".phpenv", ".asdf", ".bun", ".deno", ".dotnet", ".rustup", ".proto", ".nix-profile"}
	// mixed hold tools among other things; each with what those tools need.
	mixed = map[string][]string{
		"go":      nil,
		".config": nil,
		".cargo":  {".rustup"},
		".local": {".local/lib", ".local/share/mise", ".local/share/fnm", ".local/share/uv", ".local/share/pipx",
			".local/share/pnpm"},
	}
)

// Run is where services of the machine listen, whatever user they know their clients by. To a sandbox it is hidden:
// there its apps have the server's user.
const Run = "/run"

// Resolver is the folder with what names are resolved by (resolv.conf(5)), where that is below Run: it is replaced when the
// network changes. For [Box].Read.
func Resolver() []string {
	if path, err := filepath.EvalSymlinks("/etc/resolv.conf"); err == nil && below(path, Run) && filepath.Dir(path) != Run {
		return []string{filepath.Dir(path)}
	} else if err == nil && below(path, Run) {
		return []string{path}
	}
	return nil
}
