package local

import (
	"io"
	"log"
	"maps"
	"os"
	"path/filepath"
	"testing"

	"paas/builder/cmdline"
	"paas/engine"
	"paas/engine/local/confine"
	"paas/rig"
	"paas/volume"
)

// The test binary plays the paas binary too: the guard.
func TestMain(m *testing.M) {
	if Helper(os.Args) {
		return
	}
	if os.Getenv("TEST_SERVE") != "" {
		serveHere()
	}
	if root := os.Getenv("TEST_STORE"); root != "" {
		if err := storeHere(root); err != nil {
			log.Fatal(err)
		}
		return
	}
	os.Exit(m.Run())
}

// storeHere makes the storage of a tree below root.
func storeHere(root string) error {
	l := &Local{Root: root}
	if err := os.MkdirAll(l.scratch(), 0o700); err != nil {
		return err
	}
	return l.openStorage(Layout{
		Top: filepath.Join(root, "tree"), Replaced: filepath.Join(root, "replaced"),
		Storage: map[string]string{"uploads": filepath.Join(root, "storage/uploads/files")},
	})
}

// TestNotRoot runs all other tests as a user who is not root, with apps in sandboxes if the machine
// allows them.
func TestNotRoot(t *testing.T) { rig.AsNobody(t, "^Test[^N]") }

// newLocal returns an open engine with its own root. It is closed when the test ends.
func newLocal(t *testing.T) *Local {
	t.Helper()
	l := unopened(t)
	open(t, l)
	return l
}

// open opens an engine until the test ends.
func open(t testing.TB, l *Local) {
	t.Helper()
	if err := l.Open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
	})
}

// unopened returns an engine with its own root.
func unopened(t testing.TB) *Local {
	l := &Local{Root: t.TempDir(), Self: rig.Self(), Layout: layout}
	if os.Getuid() == 0 { // see TestNotRoot
		l.Confined.Off = "for a test"
	}
	return l
}

// found is a probe that has found isolation.
func found(isolation confine.Isolation) func(string, ...string) confine.Isolation {
	return func(string, ...string) confine.Isolation { return isolation }
}

// layout is the layout in tests: a build's name is its folder, with cache and data beside it.
func layout(image engine.Image) (Layout, error) {
	if image.Build == "" {
		return Layout{}, nil
	}
	at := func(folder string) string {
		dir := filepath.Join(filepath.Dir(image.Build), folder)
		os.Mkdir(dir, 0o755)
		return dir
	}
	return Layout{Top: image.Build, Tree: filepath.Join(image.Build, image.Folder), Cache: at("cache"), Data: at("data")}, nil
}

// spec is a process of a test.
type spec struct {
	web    bool
	tree   string
	config map[string]string
	limits volume.Limits
	out    io.Writer
}

// order returns the order that starts this command line.
func (s spec) order(t *testing.T, line string) order {
	t.Helper()
	o := order{listens: s.web, Job: engine.Job{
		App: "blog", Release: 7, Type: "worker", Index: 1, Argv: cmdline.Arguments(line), Env: cmdline.Base(nil), Limits: s.limits, Out: s.out,
	}}
	if o.Image.Build = s.tree; s.tree == "" {
		o.Image.Build = t.TempDir()
	}
	if o.Out == nil {
		o.Out = io.Discard
	}
	if s.web {
		o.Type, o.Env["PORT"] = "web", engine.Port
	}
	maps.Copy(o.Env, s.config)
	return o
}

// begin starts a process with this command line. It is stopped when the test ends.
func begin(t *testing.T, l *Local, s spec, line string) *process {
	t.Helper()
	p, err := l.start(s.order(t, line))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Stop(0) })
	return p
}

// printed runs line to its end and returns what it printed.
func printed(t *testing.T, l *Local, s spec, line string) string {
	t.Helper()
	out := &rig.Screen{}
	s.out = out
	<-begin(t, l, s, line).Done()
	return out.String()
}
