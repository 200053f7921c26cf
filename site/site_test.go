package site

import (
	"bytes"
	"compress/gzip"
	"io"
	"mime"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"paas/rig"
)

// long is text long enough to compress.
var long = strings.Repeat("all work and no play makes jack a dull boy\n", 100)

func newFiles(t *testing.T, content map[string]string) files {
	t.Helper()
	root, err := os.OpenRoot(rig.Tree(t, content))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return files{root}
}

// ask sends one request; header lists names and values.
func (s files) ask(method, path string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	for i := 0; i < len(header); i += 2 {
		r.Header.Add(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, r)
	return w
}

// wants checks a response's status and header; "" means that the field must be absent.
func wants(t *testing.T, what string, w *httptest.ResponseRecorder, code int, header ...string) {
	t.Helper()
	if w.Code != code {
		t.Errorf("%s: status %d, want %d", what, w.Code, code)
	}
	for i := 0; i < len(header); i += 2 {
		if got := strings.Join(w.Result().Header.Values(header[i]), ", "); got != header[i+1] {
			t.Errorf("%s: %s %q, want %q", what, header[i], got, header[i+1])
		}
	}
}

func unzip(t *testing.T, body io.Reader) string {
	t.Helper()
	gz, err := gzip.NewReader(body)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(gz)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// /page is page.html if nothing else has that name. A folder's page is its index.html.
func TestAddresses(t *testing.T) {
	s := newFiles(t, map[string]string{
		"index.html": "home", "about.html": "about", "both": "file", "both.html": "page",
		"docs/index.html": "docs", "docs.html": "not docs",
		"blog.html": "blog", "blog/first.html": "first", "empty/x.txt": "x", ".html": "hidden",
		".secret.html": "hidden", "a/.b/c.html": "hidden",
		"404.html": "lost", "v1.2.html": "version", "weiß.html": "white", "a b.html": "space",
		".well-known/security.txt": "safe",
	})
	if err := syscall.Mkfifo(filepath.Join(s.root.Name(), "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"/": "home", "/index.html": "home", "/index": "home", "/about": "about",
		"/about.html": "about", "/about.html.html": "lost", "/about/": "lost",
		"/both": "file", "/both.html": "page", "/docs/": "docs", "/docs/index": "docs",
		"/docs.html": "not docs",
		"/blog":      "blog", "/blog/": "lost", "/blog/first": "first", "/empty": "lost",
		"/empty/": "lost", "/pipe": "lost",
		"/.html": "lost", "/.": "home", "/.secret": "lost", "/.secret.html": "lost",
		"/a/.b/c": "lost", "/a/.b/c.html": "lost",
		"/v1.2": "version", "/wei%C3%9F": "white", "/a%20b": "space",
		"/.well-known/security.txt": "safe", "/404": "lost",
		"/%00": "lost", "/" + strings.Repeat("x", 5000): "lost", "/..": "home",
		"/x/../about": "about", "/docs/../../about": "about",
	} {
		w := s.ask("GET", path)
		code := 200
		if want == "lost" && path != "/404" {
			code = 404
		}
		if w.Code != code || w.Body.String() != want {
			t.Errorf("%.40s: got %d %q, want %d %q", path, w.Code, w.Body, code, want)
		}
	}
	wants(t, "a folder", s.ask("GET", "/docs?q=1"), 301, "Location", "./docs/?q=1")
	for folder, to := range map[string]string{
		"c#": "./c%23/", "what?": "./what%3F/", "50%": "./50%25/", "a b": "./a%20b/",
		"a:b": "./a:b/", "straße": "./stra%C3%9Fe/", "a\\b": "./a%5Cb/",
		"x\r\ny": "./x%0D%0Ay/",
	} {
		s := newFiles(t, map[string]string{folder + "/index.html": "here"})
		address := "/" + url.PathEscape(folder)
		wants(t, folder, s.ask("GET", address), 301, "Location", to)
		there, err := (&url.URL{Scheme: "http", Host: "x", Path: "/" + folder}).Parse(to)
		if err != nil {
			t.Errorf("%s: err = %v", to, err)
		} else if body := s.ask("GET", there.EscapedPath()).Body.String(); body != "here" {
			t.Errorf("%s leads to %q", to, body)
		}
	}
	wants(t, "POST", s.ask("POST", "/"), 405, "Allow", "GET, HEAD")
}

// A site with a 200.html answers addresses that only its program in the browser knows.
func TestClientRoutes(t *testing.T) {
	s := newFiles(t, map[string]string{
		"index.html": "home", "200.html": "shell", "404.html": "lost", "about.html": "about",
		"docs/x.txt": "x", ".git/config": "hidden",
	})
	for path, want := range map[string]string{
		"/": "home", "/about": "about", "/users/7": "shell", "/users/7/": "shell", "/docs": "shell",
		"/200": "shell", "/app.js": "lost", "/users/7/style.css": "lost", "/.git/config": "lost",
		"/.git/none": "lost", "/.git": "lost", "/%00": "shell",
	} {
		w := s.ask("GET", path)
		code := 200
		if want == "lost" {
			code = 404
		}
		if w.Code != code || w.Body.String() != want {
			t.Errorf("%s: got %d %q, want %d %q", path, w.Code, w.Body, code, want)
		}
	}
}

// Content types do not depend on the machine's tables.
func TestContentTypes(t *testing.T) {
	for ext, kind := range map[string]string{
		".js":         "text/wrong",
		".css":        "text/wrong",
		".woff2":      "text/wrong",
		".unheard-of": "text/wrong",
	} {
		if err := mime.AddExtensionType(ext, kind); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]string{
		"a.html": "text/html; charset=utf-8", "a.HTM": "text/html; charset=utf-8",
		"a.css": "text/css; charset=utf-8", "a.txt": "text/plain; charset=utf-8",
		"a.js": "text/javascript; charset=utf-8", "a.mjs": "text/javascript; charset=utf-8",
		"a.js.map": "application/json",
		"a.wasm":   "application/wasm", "site.webmanifest": "application/manifest+json",
		"a.json": "application/json", "feed.atom": "application/atom+xml",
		"a.woff2": "font/woff2", "a.woff": "font/woff", "a.ttf": "font/ttf", "a.otf": "font/otf",
		"a.svg": "image/svg+xml", "a.avif": "image/avif", "a.webp": "image/webp",
		"a.JPG": "image/jpeg", "favicon.ico": "image/x-icon",
		"a.mp4": "video/mp4", "a.mp3": "audio/mpeg", "a.pdf": "application/pdf",
		"a.tar.gz": "application/gzip", "a.md": "text/markdown; charset=utf-8",
		".well-known/apple-app-site-association": "application/json",
		"LICENSE":                                "text/plain; charset=utf-8", "a.unheard-of": "text/plain; charset=utf-8",
	} {
		wants(t, name, newFiles(t, map[string]string{name: "words"}).ask("GET", "/"+name), 200,
			"Content-Type", want)
	}
	s := newFiles(t, map[string]string{
		"page":    "<!DOCTYPE html><p>",
		"blob":    "\x00\x01\x02",
		"picture": "\x89PNG\x0d\x0a\x1a\x0a",
		"none":    "",
	})
	for path, want := range map[string]string{
		"/page":    "text/html; charset=utf-8",
		"/blob":    "application/octet-stream",
		"/picture": "image/png",
		"/none":    "text/plain; charset=utf-8",
	} {
		wants(t, path, s.ask("GET", path), 200, "Content-Type", want)
	}
	for ext, kind := range kinds {
		if _, params, err := mime.ParseMediaType(kind); err != nil || ext != strings.ToLower(ext) ||
			strings.HasPrefix(kind, "text/") != (params["charset"] == "utf-8") {
			t.Errorf("%s: kind %q, err = %v", ext, kind, err)
		}
	}
}

// Text is compressed for clients that accept that; the rest of the response stays correct.
func TestCompression(t *testing.T) {
	s := newFiles(t, map[string]string{
		"a.txt":    long,
		"tiny.txt": "tiny",
		"a.png":    long,
		"a.gz":     long,
		"404.html": long,
	})
	plain := s.ask("GET", "/a.txt")
	wants(t, "as it is", plain, 200, "Content-Encoding", "", "Vary", "Accept-Encoding",
		"Content-Length", "4300", "Accept-Ranges", "bytes")
	zipped := s.ask("GET", "/a.txt", "Accept-Encoding", "gzip, deflate, br")
	wants(t, "compressed", zipped, 200, "Content-Encoding", "gzip", "Vary", "Accept-Encoding",
		"Content-Length", "", "Accept-Ranges", "", "Last-Modified", "",
		"Content-Type", "text/plain; charset=utf-8", "Cache-Control", "no-cache")
	if n := zipped.Body.Len(); n > len(long)/10 || unzip(t, zipped.Body) != long {
		t.Errorf("the compressed response has %d bytes, or the wrong content", n)
	}
	tag, zippedTag := plain.Header().Get("ETag"), zipped.Header().Get("ETag")
	if tag == zippedTag || tag == "" || !strings.HasPrefix(zippedTag, `W/"`) {
		t.Errorf("ETags are %s and %s, want different ones", tag, zippedTag)
	}
	head := s.ask("HEAD", "/a.txt", "Accept-Encoding", "gzip")
	wants(t, "HEAD", head, 200, "Content-Encoding", "gzip", "ETag", zippedTag, "Content-Length", "",
		"Vary", "Accept-Encoding")
	if head.Body.Len() != 0 {
		t.Errorf("HEAD has %d bytes", head.Body.Len())
	}
	again := s.ask("GET", "/a.txt", "Accept-Encoding", "gzip", "If-None-Match", zippedTag)
	wants(t, "not changed", again, 304, "Content-Encoding", "", "ETag", zippedTag, "Vary",
		"Accept-Encoding")
	if again.Body.Len() != 0 {
		t.Errorf("304 has %d bytes", again.Body.Len())
	}
	wants(t, "the other form has not changed", s.ask("GET", "/a.txt", "If-None-Match", tag), 304)
	wants(t, "another form than the visitor has",
		s.ask("GET", "/a.txt", "If-None-Match", zippedTag), 200, "Content-Encoding", "")
	wants(t, "changed", s.ask("GET", "/a.txt", "Accept-Encoding", "gzip", "If-None-Match", `"x"`),
		200, "Content-Encoding", "gzip")
	wants(t, "a condition that fails", s.ask("GET", "/a.txt", "Accept-Encoding", "gzip", "If-Match",
		`"x"`), 412, "Content-Encoding", "", "Content-Length", "")

	wants(t, "tiny", s.ask("GET", "/tiny.txt", "Accept-Encoding", "gzip"), 200, "Content-Encoding",
		"", "Content-Length", "4")
	for _, path := range []string{"/a.png", "/a.gz"} {
		wants(t, path, s.ask("GET", path, "Accept-Encoding", "gzip"), 200, "Content-Encoding", "",
			"Vary", "", "Content-Length", "4300")
	}
	lost := s.ask("GET", "/nowhere", "Accept-Encoding", "gzip")
	wants(t, "404", lost, 404, "Content-Encoding", "gzip", "Content-Type",
		"text/html; charset=utf-8", "ETag", "", "Vary", "Accept-Encoding")
	if unzip(t, lost.Body) != long {
		t.Error("404: wrong content")
	}
	wants(t, "HEAD of 404", s.ask("HEAD", "/nowhere"), 404, "Content-Length", "4300")
}

// A range is always one of the plain file, and only of the same version.
func TestRanges(t *testing.T) {
	s := newFiles(t, map[string]string{"a.txt": long, "a.txt.br": "brotli, or so"})
	tag := s.ask("GET", "/a.txt").Header().Get("ETag")
	zipped := s.ask("GET", "/a.txt", "Accept-Encoding", "gzip").Header().Get("ETag")
	for name, test := range map[string]struct {
		header []string
		code   int
		body   string
		extent string
	}{
		"first": {[]string{"Range", "bytes=0-7"}, 206, "all work", "bytes 0-7/4300"},
		"last":  {[]string{"Range", "bytes=-4"}, 206, "boy\n", "bytes 4296-4299/4300"},
		"same file": {
			[]string{"Range", "bytes=4-7", "If-Range", tag}, 206, "work", "bytes 4-7/4300",
		},
		"another file":     {[]string{"Range", "bytes=4-7", "If-Range", `"other"`}, 200, long, ""},
		"a compressed one": {[]string{"Range", "bytes=4-7", "If-Range", zipped}, 200, long, ""},
		"past the end": {
			[]string{"Range", "bytes=5000-"}, 416, "invalid range: failed to overlap\n",
			"bytes */4300",
		},
	} {
		w := s.ask("GET", "/a.txt", append(test.header, "Accept-Encoding", "br, gzip")...)
		wants(t, name, w, test.code, "Content-Range", test.extent, "Content-Encoding", "")
		if w.Body.String() != test.body {
			t.Errorf("%s: body %.40q", name, w.Body)
		}
	}
	w := s.ask("GET", "/a.txt", "Range", "bytes=0-1,4-5")
	if kind := w.Header().Get("Content-Type"); w.Code != 206 ||
		!strings.HasPrefix(kind, "multipart/byteranges") {
		t.Errorf("status %d, content type %s", w.Code, kind)
	}
}

// A file that the author has compressed is sent to clients that accept it.
func TestCompressedByAuthor(t *testing.T) {
	s := newFiles(t, map[string]string{
		"a.js": "tiny", "a.js.br": "brotli it", "a.js.gz": "from gzip", "b.css": long,
		"b.css.gz": "from gzip", "c.png": "png", "c.png.gz": "from gzip",
		"page.html": "page", "page.html.br": "from brotli", "folder.txt": long,
		"folder.txt.gz/x": "", "404.html": "lost", "404.html.br": "lost by brotli",
	})
	// as an unpacked archive has them: the ETag must not need another time
	for _, name := range []string{"a.js", "a.js.br", "a.js.gz"} {
		if err := s.root.Chtimes(name, time.Unix(1, 0), time.Unix(1, 0)); err != nil {
			t.Fatal(err)
		}
	}
	tags := map[string]bool{}
	for _, test := range []struct{ path, accept, coding, body, length string }{
		{"/a.js", "", "", "tiny", "4"}, {
			"/a.js", "gzip", "gzip", "from gzip", "9",
		}, {"/a.js", "gzip, br", "br", "brotli it", "9"},
		{"/b.css", "br, gzip", "gzip", "from gzip", "9"}, {"/b.css", "br", "", long, "4300"},
		{"/c.png", "gzip", "", "png", "3"}, {"/page", "br", "br", "from brotli", "11"},
	} {
		for _, method := range []string{"GET", "HEAD"} {
			w := s.ask(method, test.path, "Accept-Encoding", test.accept)
			wants(t, test.path+" "+test.accept, w, 200, "Content-Encoding", test.coding,
				"Content-Length", test.length)
			if method == "GET" && w.Body.String() != test.body {
				t.Errorf("%s for %q: body %.40q", test.path, test.accept, w.Body)
			}
			tag := w.Header().Get("ETag")
			wants(t, test.path+", not changed", s.ask(method, test.path, "Accept-Encoding",
				test.accept, "If-None-Match", tag), 304)
			tags[test.path+tag] = true
		}
	}
	if len(tags) != 7 {
		t.Errorf("%d ETags for seven forms: %v", len(tags), tags)
	}
	w := s.ask("GET", "/folder.txt", "Accept-Encoding", "gzip")
	if wants(t, "a folder beside", w, 200, "Content-Encoding", "gzip"); unzip(t, w.Body) != long {
		t.Error("a folder with the compressed file's name: wrong content")
	}
	w = s.ask("GET", "/nowhere", "Accept-Encoding", "br")
	if wants(t, "404", w, 404, "Content-Encoding", "br"); w.Body.String() != "lost by brotli" {
		t.Errorf("404: body %q", w.Body)
	}
	wants(t, "by its own name", s.ask("GET", "/a.js.gz", "Accept-Encoding", "gzip"), 200,
		"Content-Encoding", "", "Content-Type", "application/gzip")
}

func TestAccepted(t *testing.T) {
	for header, want := range map[string][]string{
		"": nil, "gzip": {"gzip"}, "x-gzip": {"gzip"}, "GZip": {"gzip"},
		"gzip, deflate, br, zstd": {"br", "gzip"}, "br;q=0.5, gzip": {"gzip", "br"},
		"gzip;q=0": nil, "gzip;q=0.0, br": {"br"}, "*": {"br", "gzip"}, "*;q=0": nil,
		"br;q=0, *": {"gzip"}, "identity": nil, "identity, gzip": {"gzip"},
		"identity, gzip;q=0.5": nil, "identity;q=0.1, gzip;q=0.5, br;q=0.05": {"gzip"},
		"gzip ; x=y ; q=0.3": {"gzip"},
		"gzip;q=nan":         nil, "gzip;q=2": nil, "gzip;q=-1": nil, "gzip;q=": nil,
		"gzipped, brotli": nil, ",,;q=1,": nil,
	} {
		if got := accepted([]string{header}); !slices.Equal(got, want) {
			t.Errorf("accepted(%q) = %v, want %v", header, got, want)
		}
	}
	if got := accepted([]string{"gzip", "br"}); !slices.Equal(got, []string{"br", "gzip"}) {
		t.Errorf("two header lines: accepted = %v", got)
	}
}

func FuzzAccepted(f *testing.F) {
	for _, header := range []string{"gzip, br;q=0.5", "*;q=0", ";;,=q=1", "identity;q=NaN"} {
		f.Add(header)
	}
	f.Fuzz(func(t *testing.T, header string) {
		switch got := accepted([]string{header}); {
		case len(got) > 2, len(got) == 2 && got[0] == got[1]:
			t.Errorf("accepted(%q) = %v", header, got)
		default:
			for _, coding := range got {
				if suffixes[coding] == "" {
					t.Errorf("accepted(%q) = %v", header, got)
				}
			}
		}
	})
}

// If a file is truncated while it is sent, the response does not look complete.
func TestCutShort(t *testing.T) {
	dir := rig.Tree(t, map[string]string{"a.txt": long})
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	s := files{root}
	r := httptest.NewRequest("GET", "/a.txt", nil)
	r.Header.Set("Accept-Encoding", "gzip")
	f, err := s.form(r, "a.txt")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	out := &encoder{ResponseWriter: httptest.NewRecorder(), form: f}
	io.Copy(out, bytes.NewReader([]byte(long[:2000])))
	defer func() {
		if recover() != http.ErrAbortHandler {
			t.Error("the response looks complete")
		}
	}()
	out.close()
}
