package engine

import "strings"

// Image is the folder of an app's build that a process runs in.
type Image struct {
	App    string
	Build  string
	Folder string // below the top of the build; empty: the top

	// Storage are folders below Folder. In their place, processes see files that outlive the build;
	// the first process finds there what the build has. The build itself sees its own.
	Storage []string
}

// Placeholders in the values of an environment. The engine replaces them by what the process finds
// there. No other text can contain them: neither a setting nor an environment can have a zero byte.
const (
	Tree  = "\x00tree\x00"  // the image's folder
	Data  = "\x00data\x00"  // the app's own files, kept across releases
	Cache = "\x00cache\x00" // the cache of the app's builds
	Port  = "\x00port\x00"  // the number of the port to listen on

	Toolchains = "\x00toolchains\x00" // the folder of [volume.Toolchain.Bin]
)

// Expand returns env with the placeholders replaced by the arguments.
func Expand(
	env map[string]string, tree, data, cache, toolchains, port string,
) map[string]string {
	names := strings.NewReplacer(
		Tree, tree, Data, data, Cache, cache, Toolchains, toolchains, Port, port)
	expanded := make(map[string]string, len(env))
	for name, value := range env {
		expanded[name] = names.Replace(value)
	}
	return expanded
}
