package git

import (
	"bytes"
	"fmt"
	"os"
	"path"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/filemode"
	gitconfig "github.com/go-git/go-git/v5/plumbing/format/config"
)

// Module is a submodule of a commit: a folder that holds the files of another repository's commit.
type Module struct {
	Path   string // as committed, with slashes
	URL    string // as in .gitmodules: not checked, perhaps relative to the repository's own
	Commit string
}

// maxListedModules limits the submodules of one commit.
const maxListedModules = 100

// addModules adds the submodules of a tree's entry called name.
func (f *treeFacts) addModules(name string, modules []Module) {
	for _, m := range modules[:min(len(modules), maxListedModules+1-len(f.modules))] {
		f.modules = append(f.modules, Module{Path: path.Join(name, m.Path), Commit: m.Commit})
	}
}

// withURLs returns modules with the URLs in the .gitmodules of the tree called root. The error is a
// [*Refused] if one has none.
func (in *inspection) withURLs(root plumbing.Hash, modules []Module) ([]Module, error) {
	if len(modules) > maxListedModules {
		return nil, &Refused{fmt.Sprintf("the commit has more than %d submodules", maxListedModules),
			"commit the files themselves"}
	}
	urls, err := in.moduleURLs(root)
	if err != nil {
		return nil, err
	}
	var all []Module
	for _, m := range modules {
		if m.URL = urls[m.Path]; m.URL == "" {
			return nil, &Refused{m.Path + " is a submodule, and .gitmodules has no URL for it",
				"git submodule add records one; or commit the files themselves"}
		}
		all = append(all, m)
	}
	return all, nil
}

// moduleURLs reads the .gitmodules of a tree: URLs by path (gitmodules(5)). There are none if it is
// missing, or cannot be parsed.
func (in *inspection) moduleURLs(root plumbing.Hash) (map[string]string, error) {
	t, err := in.objects.tree(root)
	if err != nil {
		return nil, err
	}
	urls := map[string]string{}
	for _, e := range t.Entries {
		if e.Name != ".gitmodules" || !e.Mode.IsFile() || e.Mode == filemode.Symlink {
			continue
		}
		content, err := in.objects.readObject(plumbing.BlobObject, e.Hash, maxModules)
		if err != nil {
			return nil, err
		}
		file := gitconfig.New()
		if gitconfig.NewDecoder(bytes.NewReader(content)).Decode(file) != nil {
			continue
		}
		for _, m := range file.Section("submodule").Subsections {
			urls[strings.TrimSuffix(m.Option("path"), "/")] = m.Option("url")
		}
	}
	return urls, nil
}

// MakeFolder makes the folder of m in dir, where the files of the commit that has m are, unless it
// is there, for the owner of dir. It does not leave dir, whatever links are in it.
func (m Module) MakeFolder(dir string) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	top, err := root.Open(".")
	if err != nil {
		return err
	}
	defer top.Close()
	uid, gid, err := folder{File: top}.owner()
	if err != nil {
		return err
	}
	for i := range m.Path + "/" {
		if i < len(m.Path) && m.Path[i] != '/' {
			continue
		}
		if err := root.Mkdir(m.Path[:i], 0o755); os.IsExist(err) {
			continue
		} else if err != nil {
			return err
		}
		if err := root.Chmod(m.Path[:i], 0o755); err != nil { // undo the umask
			return err
		}
		if uid == 0 {
			continue
		}
		if err := root.Lchown(m.Path[:i], uid, gid); err != nil {
			return err
		}
	}
	return nil
}
