package site

import (
	"io"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path"
	"strings"
	"syscall"
	"time"
)

// files serves the files below root. It refuses links that leave root and names that begin with a
// dot (.git, .env), except /.well-known (RFC 8615). It lists no folders.
type files struct{ root *os.Root }

func (s files) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	name, folder := s.find(r.URL.Path)
	switch {
	case name == "":
		s.notFound(w, r)
	case folder:
		// relative, so that it works below any path; "./" keeps a name from becoming //host
		to := (&url.URL{Path: "./" + path.Base(name) + "/"}).EscapedPath()
		if r.URL.RawQuery != "" {
			to += "?" + r.URL.RawQuery
		}
		w.Header().Set("Location", to)
		w.WriteHeader(http.StatusMovedPermanently)
	default:
		s.serve(w, r, name)
	}
}

// find returns the file for an address's path: that file, a folder's index.html, page.html for
// /page, or 200.html for any other address without a dot in its last element, which may be one that
// a program in the browser knows (https://surge.sh/help/adding-a-200-page-for-client-side-routing).
// folder means that name is a folder, whose address must end with a slash. An empty name
// means that nothing is visible there.
func (s files) find(address string) (name string, folder bool) {
	name = strings.TrimPrefix(path.Clean("/"+address), "/")
	for i, element := range strings.Split(name, "/") {
		if strings.HasPrefix(element, ".") && !(i == 0 && element == ".well-known") {
			return "", false
		}
	}
	index, page := path.Join(name, "index.html"), name+".html"
	switch {
	case name == "" || strings.HasSuffix(address, "/"):
		if s.isFile(index) {
			return index, false
		}
	case s.isFile(name):
		return name, false
	case s.isFile(index):
		return name, true
	case s.isFile(page): // also for a folder without index.html: blog.html beside blog/first.html
		return page, false
	}
	// A script or style sheet that is missing is an error: no program could make sense of a page.
	if !strings.Contains(path.Base(name), ".") && s.isFile("200.html") {
		return "200.html", false
	}
	return "", false
}

// isFile reports whether name is a regular file. Opening anything else, such as a pipe, may block.
func (s files) isFile(name string) bool {
	info, err := s.root.Stat(name)
	return err == nil && info.Mode().IsRegular()
}

// open opens a regular file.
func (s files) open(name string) (*os.File, fs.FileInfo, error) {
	if !s.isFile(name) {
		return nil, nil, fs.ErrNotExist
	}
	f, err := s.root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0) // it may be a pipe by now
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, info, nil
}

// serve sends a file, the requested ranges, or that it has not changed.
func (s files) serve(w http.ResponseWriter, r *http.Request, name string) {
	f, err := s.form(r, name)
	if err != nil {
		s.notFound(w, r)
		return
	}
	defer f.Close()
	f.describe(w.Header())
	w.Header().Set("ETag", f.tag())
	if f.coding == "" {
		http.ServeContent(w, r, name, f.info.ModTime(), f.File)
		return
	}
	out := &encoder{ResponseWriter: w, form: f}
	defer out.close()
	// Without the time: else a client with half of the encoded form could use it to request the
	// rest of the plain form.
	http.ServeContent(out, r, name, time.Time{}, f.File)
}

// notFound sends the site's 404.html, if it has one.
func (s files) notFound(w http.ResponseWriter, r *http.Request) {
	f, err := s.form(r, "404.html")
	if err != nil {
		http.NotFound(w, r)
		return
	}
	defer f.Close()
	f.describe(w.Header())
	out := &encoder{ResponseWriter: w, form: f}
	defer out.close()
	out.WriteHeader(http.StatusNotFound)
	if r.Method != http.MethodHead {
		io.Copy(out, f)
	}
}
