// Package registry is an npm registry for tests. It serves packages in the format of the real one.
package registry

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"crypto/sha1"
	"crypto/sha512"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"path"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
)

// Registry is a registry on the loopback address. Close it at the end.
type Registry struct {
	*httptest.Server
	Requests atomic.Int64 // so far
	Files    atomic.Int64 // files of packages that it has sent

	mu       sync.Mutex
	packages map[string]map[string]release // by name and version
	instead  http.HandlerFunc
}

// release is a published version of a package.
type release struct {
	about map[string]any // as in its package.json
	file  []byte
}

// New returns a registry without packages.
func New() *Registry {
	r := &Registry{packages: map[string]map[string]release{}}
	r.Server = httptest.NewServer(http.HandlerFunc(r.answer))
	return r
}

// Publish adds a version of a package. about has the other fields of its package.json, such as bin
// and engines; files are its files by path.
func (r *Registry) Publish(name, version string, about map[string]any, files map[string]string) {
	all := map[string]any{"name": name, "version": version}
	maps.Copy(all, about)
	files = maps.Clone(files)
	if files == nil {
		files = map[string]string{}
	}
	files["package.json"] = Text(all)
	var headers []*tar.Header
	for _, name := range slices.Sorted(maps.Keys(files)) {
		headers = append(headers, &tar.Header{Name: "package/" + name, Mode: 0o644})
	}
	r.PublishFile(name, version, all, Pack(headers, func(name string) string {
		return files[strings.TrimPrefix(name, "package/")]
	}))
}

// PublishFile adds a version whose file is the given one.
func (r *Registry) PublishFile(name, version string, about map[string]any, file []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.packages[name] == nil {
		r.packages[name] = map[string]release{}
	}
	r.packages[name][version] = release{about, file}
}

// Instead lets f answer all requests; nil: the registry does again.
func (r *Registry) Instead(f http.HandlerFunc) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.instead = f
}

// Pack makes a package's file of entries; content returns the content of the regular ones.
func Pack(entries []*tar.Header, content func(name string) string) []byte {
	var file bytes.Buffer
	zip := gzip.NewWriter(&file)
	archive := tar.NewWriter(zip)
	for _, e := range entries {
		if e.Typeflag == 0 || e.Typeflag == tar.TypeReg {
			e.Size = int64(len(content(e.Name)))
		}
		archive.WriteHeader(e)
		if e.Size > 0 {
			archive.Write([]byte(content(e.Name)))
		}
	}
	archive.Close()
	zip.Close()
	return file.Bytes()
}

func (r *Registry) answer(w http.ResponseWriter, q *http.Request) {
	r.Requests.Add(1)
	r.mu.Lock()
	instead := r.instead
	r.mu.Unlock()
	if instead != nil {
		instead(w, q)
		return
	}
	r.Serve(w, q)
}

// Serve answers a request as a registry does: for /NAME and for /NAME/-/VERSION.tgz.
func (r *Registry) Serve(w http.ResponseWriter, q *http.Request) {
	name, file, isFile := strings.Cut(strings.TrimPrefix(q.URL.Path, "/"), "/-/")
	r.mu.Lock()
	versions := maps.Clone(r.packages[name])
	r.mu.Unlock()
	if isFile {
		if v, ok := versions[strings.TrimSuffix(file, ".tgz")]; ok {
			r.Files.Add(1)
			w.Write(v.file)
			return
		}
	}
	if isFile || len(versions) == 0 {
		http.NotFound(w, q)
		return
	}
	listed, times, last := map[string]any{}, map[string]string{}, ""
	for _, version := range slices.Sorted(maps.Keys(versions)) {
		v := versions[version]
		sum, long := sha1.Sum(v.file), sha512.Sum512(v.file)
		about := maps.Clone(v.about)
		about["dist"] = map[string]string{
			"tarball":   r.URL + "/" + path.Join(name, "-", version+".tgz"),
			"shasum":    hex.EncodeToString(sum[:]),
			"integrity": "sha512-" + base64.StdEncoding.EncodeToString(long[:]),
		}
		listed[version], times[version], last = about, "2020-01-01T00:00:00.000Z", version
	}
	w.Header().Set("Content-Type", "application/json")
	w.Write([]byte(Text(map[string]any{
		"name": name, "dist-tags": map[string]string{"latest": last}, "time": times, "versions": listed,
	})))
}

// Text returns value as JSON.
func Text(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		panic(err)
	}
	return string(text)
}

// NodePackage is the name of the package with Node for this machine.
func NodePackage() string {
	return "node-" + runtime.GOOS + "-" + strings.Replace(runtime.GOARCH, "amd64", "x64", 1)
}
