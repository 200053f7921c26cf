package confine

import (
	"path/filepath"
	"slices"
	"strings"

	"paas/builder/cmdline"
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

	// Places are folders that the command sees at other paths; only if [Isolation.Mounts].
	Places []Place

	// Over are mounts over folders of the command; only if [Isolation.Mounts].
	Over []Over

	// files of the machine -> what the command sees instead; if Isolation.Users
	Replace map[string]string

	sandbox *Sandbox // or nil
}

// App and Own are the folders in a command's root that the machine need not have: App is for the
// app's tree, and other places are below Beside. What the machine has there is hidden.
const App, Beside = "/app", "/paas"

// Place is a folder that a command sees at another path. The paths of the server appear nowhere
// then, and files that contain their own path stay true when the server's folders move.
type Place struct {
	From     string // missing ones are skipped unless they are writable
	At       string // App, or below Beside
	Writable bool
}

// Inside returns text with the paths that the command sees in place of those of the machine.
func (b *Box) Inside(text string) string {
	var pairs []string
	for _, p := range b.Places {
		pairs = append(pairs, p.From, p.At)
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// Outside returns text with the paths of the machine in place of those that the command sees.
func (b *Box) Outside(text string) string {
	for _, p := range b.Places {
		text = cmdline.MovePath(text, p.At, p.From)
	}
	return text
}

// Unmoved returns a box that shows each place at its own path.
func (b Box) Unmoved() *Box {
	b.Read, b.Write = slices.Clone(b.Read), slices.Clone(b.Write)
	for _, p := range b.Places {
		if p.Writable {
			b.Write = append(b.Write, p.From)
		} else {
			b.Read = append(b.Read, p.From)
		}
	}
	b.Places = nil
	return &b
}

// Over is a folder of Box.Write or Box.Places that the command also sees in place of another one.
type Over struct {
	From string // as the command sees it
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
