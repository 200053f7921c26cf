package confine

import (
	"path/filepath"
	"slices"
	"strings"
)

// Box says what one command may see and write.
type Box struct {
	Isolation Isolation
	UID       int // the command's user and group if Isolation.Users

	// Hide are folders in which the command sees only what Read and Write list. It sees the rest of
	// the machine as any user does.
	Hide  []string
	Read  []string // folders and files; missing ones are skipped
	Write []string // existing folders
	Tmp   string   // the command's own folder for /tmp or, if mounts are impossible, TMPDIR

	// Over are mounts over folders of the command; only if [Isolation.Mounts].
	Over []Over

	// files of the machine -> what the command sees instead; if Isolation.Users
	Replace map[string]string

	sandbox *Sandbox // or nil
}

// Over is a folder of Box.Write that the command also sees in place of another one.
type Over struct {
	From string
	Top  string // a folder that no command can replace
	Path string // below Top: the existing folder to cover, to which no symbolic link leads
}

// below reports whether path is dir or in it. Both are clean and absolute.
func below(path, dir string) bool {
	return path == dir || dir == "/" || strings.HasPrefix(path, dir+"/")
}

// outermost drops the paths that are below another one.
func outermost(paths []string) (list []string) {
	sorted := slices.Compact(slices.Sorted(slices.Values(paths)))
	for _, p := range sorted {
		if !slices.ContainsFunc(list, func(above string) bool { return below(p, above) }) {
			list = append(list, p)
		}
	}
	return list
}

// parents returns the folders above path, the top first, and path itself.
func parents(path string) (list []string) {
	for ; path != "/"; path = filepath.Dir(path) {
		list = append(list, path)
	}
	slices.Reverse(list)
	return list
}
