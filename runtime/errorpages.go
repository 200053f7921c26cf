package runtime

import (
	"cmp"
	"os"
	"path/filepath"

	"paas/builder/tree"
)

const (
	defaultErrorPages = "public" // where Rails has such pages
	maxErrorPage      = 64 << 10 // bytes
)

// errorPageNames are the answers of the front that an app may have pages for: 503.html is for the
// status 503.
var errorPageNames = []string{"maintenance", "401", "403", "413", "502", "503", "504"}

// errorPages are the app's own pages, from the tree of the live release, as HTML by their names.
func (a *appLoop) errorPages() map[string]string {
	i := a.live
	if i == nil || i.tree == "" {
		return nil
	}
	folder := cmp.Or(a.settings.ErrorPages, defaultErrorPages)
	if i.pagesOf != folder {
		i.pagesOf, i.pages = folder, readPages(i.tree, folder)
	}
	return i.pages
}

// readPages reads the pages in a folder of dir, also through links within dir. It leaves out
// what is not a file or too large.
func readPages(dir, folder string) map[string]string {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil
	}
	defer root.Close()
	pages := map[string]string{}
	for _, name := range errorPageNames {
		text, err := tree.Read(root, filepath.Join(folder, name+".html"), maxErrorPage)
		if err == nil {
			pages[name] = string(text)
		}
	}
	return pages
}
