package confine

import (
	"path/filepath"
	"slices"
	"strings"
)

// Box is what one command may see and write.
type Box struct {
	Force Force
	UID   int // the command's user and group, where Force.Users

	// Hide are folders of which the command sees nothing but what Read and Write name below them. All
	// else on the machine it sees as any user does.
	Hide  []string
	Read  []string // folders and files; one that is not there is left out
	Write []string // folders, which are there
	Tmp   string   // a folder of its own, its /tmp, or where that cannot be had its TMPDIR

	Instead map[string]string // files of the machine, and what is seen in place of each; where Force.Users

	in *Sandbox // nil: none
}

// below says whether path is dir or in it. Both are clean and absolute.
func below(path, dir string) bool {
	return path == dir || dir == "/" || strings.HasPrefix(path, dir+"/")
}

// outermost leaves out what is below another.
func outermost(paths []string) (list []string) {
	sorted := slices.Compact(slices.Sorted(slices.Values(paths)))
	for _, p := range sorted {
		if !slices.ContainsFunc(list, func(above string) bool { return below(p, above) }) {
			list = append(list, p)
		}
	}
	return list
}

// parents are the folders above path, the top first, path itself last.
func parents(path string) (list []string) {
	for ; path != "/"; path = filepath.Dir(path) {
		list = append(list, path)
	}
	slices.Reverse(list)
	return list
}
