package git

import (
	"path"
	"strings"
)

// dirCursor opens the parent folders of files. It keeps the last one open, because paths come
// folder by folder.
type dirCursor struct {
	root    folder
	openSub func(in folder, name string) (folder, error) // opens, and perhaps makes, a subfolder
	current folder
}

// folderOf returns the parent folder of file. It stays open until the next call.
func (p *dirCursor) folderOf(file string) (folder, error) {
	dir := path.Dir(file)
	if dir == "." {
		return p.root, nil
	}
	if p.current.File != nil && p.current.path == dir {
		return p.current, nil
	}
	p.close()
	at := p.root
	for name := range strings.SplitSeq(dir, "/") {
		next, err := p.openSub(at, name)
		if at.path != "" {
			at.Close()
		}
		if err != nil {
			return folder{}, err
		}
		at = next
	}
	p.current = at
	return at, nil
}

// close closes the current folder. The next call of folderOf starts at the root.
func (p *dirCursor) close() {
	if p.current.File != nil {
		p.current.Close()
		p.current = folder{}
	}
}
