package site

import (
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path"
	"strings"
)

// files answers with the files below root, and with nothing else: links that leave it are
// refused, names that begin with a dot (.git, .env) are not there, except /.well-known (RFC 8615).
type files struct{ root *os.Root }

func (s files) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	name, info := s.find(r.URL.Path)
	switch {
	case info == nil:
		s.notFound(w, r)
	case info.IsDir() && !strings.HasSuffix(r.URL.Path, "/"):
		// Relative, so that it holds under whatever path this is served; never //host.
		to := "./" + path.Base(name) + "/"
		if r.URL.RawQuery != "" {
			to += "?" + r.URL.RawQuery
		}
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusMovedPermanently)
	case info.IsDir():
		index := path.Join(name, "index.html")
		if info = s.file(index); info == nil {
			s.notFound(w, r)
			return
		}
		s.serve(w, r, index, info)
	default:
		s.serve(w, r, name, info)
	}
}

// find is the file or folder a URL's path names; nil where there is none to be seen.
func (s files) find(url string) (name string, info fs.FileInfo) {
	name = strings.TrimPrefix(path.Clean("/"+url), "/")
	if name == "" {
		name = "."
	}
	for i, element := range strings.Split(name, "/") {
		if strings.HasPrefix(element, ".") && name != "." && !(i == 0 && element == ".well-known") {
			return "", nil
		}
	}
	info, err := s.root.Stat(name)
	if err != nil || !info.IsDir() && (!info.Mode().IsRegular() || strings.HasSuffix(url, "/")) {
		return "", nil
	}
	return name, info
}

// file is what is known of a regular file; nil where there is none. Opening anything else may
// block (a pipe).
func (s files) file(name string) fs.FileInfo {
	info, err := s.root.Stat(name)
	if err != nil || !info.Mode().IsRegular() {
		return nil
	}
	return info
}

func (s files) serve(w http.ResponseWriter, r *http.Request, name string, info fs.FileInfo) {
	f, err := s.root.Open(name)
	if err != nil {
		s.notFound(w, r)
		return
	}
	defer f.Close()
	// A deploy may change any file, so it is asked for each time, and mostly not sent again.
	w.Header().Set("Cache-Control", "no-cache")
	w.Header().Set("ETag", fmt.Sprintf(`"%x-%x"`, info.ModTime().UnixNano(), info.Size()))
	http.ServeContent(w, r, name, info.ModTime(), f)
}

// notFound answers with the site's own 404.html, where it has one.
func (s files) notFound(w http.ResponseWriter, r *http.Request) {
	if s.file("404.html") != nil {
		if page, err := s.root.Open("404.html"); err == nil {
			defer page.Close()
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.WriteHeader(http.StatusNotFound)
			if r.Method != http.MethodHead {
				io.Copy(w, page)
			}
			return
		}
	}
	http.NotFound(w, r)
}
