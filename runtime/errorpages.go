package runtime

import (
	"cmp"
	"io"
	"os"
	"path/filepath"
	"syscall"
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

// readPages reads the pages in a folder of tree, also through links within the tree. It leaves out
// what is not a file or too large.
func readPages(tree, folder string) map[string]string {
	root, err := os.OpenRoot(tree)
	if err != nil {
		return nil
	}
	defer root.Close()
	pages := map[string]string{}
	for _, name := range errorPageNames {
		// without waiting for the other end, if the app has put a pipe there
		f, err := root.OpenFile(filepath.Join(folder, name+".html"), os.O_RDONLY|syscall.O_NONBLOCK, 0)
		if err != nil {
			continue
		}
		info, err := f.Stat()
		if err == nil && info.Mode().IsRegular() && info.Size() <= maxErrorPage {
			if text, err := io.ReadAll(io.LimitReader(f, maxErrorPage)); err == nil {
				pages[name] = string(text)
			}
		}
		f.Close()
	}
	return pages
}
