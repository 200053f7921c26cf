package git

import (
	"path"
	"strings"
)

// place finds the folder that a path lies in, and keeps it open: paths come folder by folder.
type place struct {
	root folder
	step func(in folder, name string) (folder, error) // opens a folder on the way
	last folder
}

// of is the folder that the file called file lies in. It stays open until the next call.
func (p *place) of(file string) (folder, error) {
	dir := path.Dir(file)
	if dir == "." {
		return p.root, nil
	}
	if p.last.File != nil && p.last.path == dir {
		return p.last, nil
	}
	p.close()
	at := p.root
	for name := range strings.SplitSeq(dir, "/") {
		next, err := p.step(at, name)
		if at.path != "" {
			at.Close()
		}
		if err != nil {
			return folder{}, err
		}
		at = next
	}
	p.last = at
	return at, nil
}

// close forgets the folder that is open. The next look starts at the root.
func (p *place) close() {
	if p.last.File != nil {
		p.last.Close()
		p.last = folder{}
	}
}
