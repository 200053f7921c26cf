package confine

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Tools returns the folders below homes that programs in the given PATH need, for [Box].Read: home
// folders are hidden, and toolchains are often installed there.
//
// Each folder of PATH is among them, unless it contains something hidden. So is the folder above a
// bin folder (~/node-22/bin), or a version manager's (~/.nvm for ~/.nvm/versions/node/v22/bin).
// Folders that contain more than tools are not shown as a whole: ~/.cargo contains tokens, ~/.local
// anything.
func Tools(path string, homes, hidden []string) (list []string) {
	add := func(path string) {
		list = append(list, path)
		if real, err := filepath.EvalSymlinks(path); err == nil && real != path {
			list = append(list, real)
		}
	}
	for _, dir := range filepath.SplitList(path) {
		dir = filepath.Clean(dir)
		contains := func(h string) bool { return below(h, dir) }
		if !filepath.IsAbs(dir) || slices.ContainsFunc(slices.Concat(homes, hidden), contains) {
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

// toolsOf returns the other folders of a home that programs in its folder dir need.
func toolsOf(dir string) []string {
	first, rest, _ := strings.Cut(dir, "/")
	switch needs, mixed := mixed[first]; {
	case mixed:
		return needs
	case slices.Contains(managers, first):
		return []string{first}
	// node_modules has a .bin
	case rest != "" && (filepath.Base(rest) == "bin" || filepath.Base(rest) == ".bin"):
		return []string{filepath.Dir(dir)}
	}
	return nil
}

var (
	// managers are folders of version managers, without secrets
	managers = []string{
		".nvm", ".fnm", ".volta", ".n", ".nodenv", ".pyenv", ".rbenv", ".rvm", ".goenv", ".jenv",
		".sdkman", ".phpenv", ".asdf", ".bun", ".deno", ".dotnet", ".rustup", ".proto",
		".nix-profile",
	}
	// mixed are folders with tools and other things -> what those tools need
	mixed = map[string][]string{
		"go":      nil,
		".config": nil,
		".cargo":  {".rustup"},
		".local": {".local/lib", ".local/share/mise", ".local/share/fnm", ".local/share/uv",
			".local/share/pipx",
			".local/share/pnpm"},
	}
)

// Run is where services of the machine listen, also those that authenticate by user. It is hidden
// from sandboxes, whose apps have the server's user.
const Run = "/run"

// Resolver returns the folder or file for name resolution (resolv.conf(5)) if it is below Run, for
// [Box].Read. Prefer the folder: the file is replaced when the network changes.
func Resolver() []string {
	path, err := filepath.EvalSymlinks("/etc/resolv.conf")
	switch {
	case err != nil || !below(path, Run):
		return nil
	case filepath.Dir(path) == Run:
		return []string{path}
	}
	return []string{filepath.Dir(path)}
}
