package local

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"paas/builder/cmdline"
	"paas/engine"
	"paas/engine/local/confine"
	"paas/rig"
)

// storing returns an engine that isolates apps in this way, for a build with the folder
// public/uploads, which is kept.
func storing(t *testing.T, isolation confine.Isolation) *storingEngine {
	root := t.TempDir()
	if os.Getuid() == 0 { // the app's user must be able to enter it
		os.Chmod(filepath.Dir(root), 0o755)
	}
	app := filepath.Join(root, "apps/blog")
	rig.Write(t, app, map[string]string{
		"build/tree/public/uploads/first": "first\n", "build/tree/page": "page\n", "data/x": "",
		"cache/x": "", "other/secret": "secret\n",
	})
	e := &storingEngine{app: app, kept: []string{"public/uploads"}}
	e.Local = &Local{
		Root: root, Self: rig.Self(), probe: found(isolation), Layout: e.layout,
		Confined: Confined{OpenNet: true, User: func(string, func(int) bool) (int, error) { return 71007, nil }},
	}
	if err := e.Open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

type storingEngine struct {
	*Local
	app  string
	kept []string
}

func (e *storingEngine) at(path string) string { return filepath.Join(e.app, path) }

func (e *storingEngine) layout(image engine.Image) (Layout, error) {
	l := Layout{
		Top: e.at("build/tree"), Tree: e.at("build/tree"), Cache: e.at("cache"), Data: e.at("data"),
		Replaced: e.at("build/replaced"), Storage: map[string]string{},
	}
	for _, folder := range image.Storage {
		l.Storage[folder] = e.at("storage/" + filepath.Base(folder) + "/files")
	}
	return l, nil
}

// sh runs a shell script as a process of the app, and returns what it prints, or why it did not
// start.
func (e *storingEngine) sh(t *testing.T, script string) string {
	t.Helper()
	var out rig.Screen
	p, err := e.Start(t.Context(), engine.Job{
		App: "blog", Release: 1, Type: "run", Index: 1, Out: &out, Env: cmdline.Base(nil),
		Image: engine.Image{App: "blog", Build: "b", Storage: e.kept},
		Argv:  []string{"/bin/sh", "-c", script},
	})
	if err != nil {
		return err.Error()
	}
	<-p.Done()
	return out.String()
}

// TestStorage tries storage in each way in which this user can isolate apps, and without isolation.
func TestStorage(t *testing.T) {
	all := confine.Probe(t.TempDir(), rig.Self()...)
	t.Cleanup(func() { // see confine.Untraceable: such a process cannot start sandboxes
		if err := unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0); err != nil {
			t.Error(err)
		}
	})
	for _, way := range []struct {
		name      string
		possible  bool
		isolation confine.Isolation
	}{ // Landlock after the sandboxes, for the same reason
		{"users", all.Users, all},
		{"sandboxes", all.Sandboxes, all},
		{"Landlock", all.Landlock > 0 && os.Getuid() != 0, confine.Isolation{Landlock: all.Landlock, Seccomp: all.Seccomp}},
		{"nothing", true, confine.Isolation{}},
	} {
		t.Run(way.name, func(t *testing.T) {
			if !way.possible {
				t.Skipf("SKIP: it is not possible here: %s", all.Missing)
			}
			storing(t, way.isolation).keeps(t)
			storing(t, way.isolation).followsNoLink(t)
		})
	}
}

// Processes see the kept files in the tree, which are outside of it, and may change them.
func (e *storingEngine) keeps(t *testing.T) {
	if out := e.sh(t, "cat public/uploads/first; rm public/uploads/first; echo new >public/uploads/new"); out != "first\n" {
		t.Errorf("its first content: %q", out)
	}
	if out := e.sh(t, "ls public/uploads"); out != "new\n" {
		t.Errorf("in the next process: %q", out)
	}
	if content, err := os.ReadFile(e.at("storage/uploads/files/new")); string(content) != "new\n" {
		t.Errorf("on the volume: %q, %v", content, err)
	}
	e.kept = append(e.kept, "media/large")
	want := "media/large:\nx\n\npublic/uploads:\nnew\n"
	if out := e.sh(t, "echo x >media/large/x && echo y >media/y && ls public/uploads media/large"); out != want {
		t.Errorf("a folder that the build lacks: %q", out)
	}
	e.kept = nil
	if out := e.sh(t, "ls public/uploads"); out != "first\n" {
		t.Errorf("without the storage: %q", out)
	}
}

// A link that the app puts in the place of a folder leads neither the copy nor the mount out of the
// tree.
func (e *storingEngine) followsNoLink(t *testing.T) {
	for _, link := range []struct{ in, to string }{
		{"public", e.at("other")}, {"public", "../../other"}, {"public/uploads", e.at("other")}, {"public", "/"},
	} {
		in := e.at("build/tree/" + link.in)
		os.RemoveAll(in)
		os.MkdirAll(filepath.Dir(in), 0o755)
		if err := os.Symlink(link.to, in); err != nil {
			t.Fatal(err)
		}
		if out := e.sh(t, "cat public/uploads/secret"); !strings.Contains(out, "storage: public/uploads: ") {
			t.Errorf("%s is a link to %s: %q", link.in, link.to, out)
		}
		os.Remove(in)
		if _, err := os.Lstat(e.at("other/uploads")); !errors.Is(err, fs.ErrNotExist) {
			t.Fatal("something was made outside of the tree")
		}
		if _, err := os.Lstat(e.at("other/secret")); err != nil {
			t.Fatal(err)
		}
		os.RemoveAll(e.at("storage"))
	}
}

// A server that is killed while it copies the first content leaves nothing half.
func TestStorageKilled(t *testing.T) {
	root := t.TempDir()
	tree := filepath.Join(root, "tree")
	const files = 1000 // and a folder
	rig.Write(t, tree, map[string]string{"uploads/\xe9t\xe9/x": ""})
	for i := range files {
		if err := os.WriteFile(fmt.Sprintf("%s/uploads/%d", tree, i), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	stored := filepath.Join(root, "storage/uploads/files")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "TEST_STORE="+root)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	rig.Eventually(t, "it copies", func() bool {
		copied, _ := filepath.Glob(filepath.Join(root, "scratch/storage-*/files/*"))
		_, err := os.Stat(stored)
		return len(copied) > 10 || err == nil
	})
	cmd.Process.Kill()
	cmd.Wait()
	count := func() int {
		entries, _ := os.ReadDir(stored)
		return len(entries)
	}
	if n := count(); n != 0 && n != files+1 {
		t.Errorf("after the kill: %d files of %d", n, files)
	}
	if err := storeHere(root); err != nil || count() != files+1 {
		t.Errorf("the next one: %d files of %d, %v", count(), files, err)
	}
}
