package engine

import "strings"

// Image is what a process is made of: a folder of a build of an app.
type Image struct {
	App    string
	Build  string
	Folder string // where the processes run, below the build's top; empty: the top
}

// Names that values of an environment may contain, anywhere. The engine replaces each by what a
// process finds there. No text from outside has them: neither a setting nor an environment can
// contain a zero byte.
const (
	Tree  = "\x00tree\x00"  // the image's folder
	Data  = "\x00data\x00"  // the app's own files, kept across releases
	Cache = "\x00cache\x00" // what builds of the app keep
	Port  = "\x00port\x00"  // the number of the port that a process listens on
)

// Expand returns env with the names above replaced by what the arguments say.
func Expand(env map[string]string, tree, data, cache, port string) map[string]string {
	names := strings.NewReplacer(Tree, tree, Data, data, Cache, cache, Port, port)
	expanded := make(map[string]string, len(env))
	for name, value := range env {
		expanded[name] = names.Replace(value)
	}
	return expanded
}
