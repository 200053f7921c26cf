package local

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"paas/builder/cmdline"
	"paas/engine"
	"paas/rig"
)

// What a build found out about its folders holds after the volume was moved.
func TestMovedVolume(t *testing.T) {
	volume := rig.Tree(t, map[string]string{
		"old/tree/app/Procfile":              "web: true\n",
		"old/tree/app/buildpack/bin/compile": "",
		"old/tree/library":                   "of the top",
		"old/tree/app/file":                  "of the tree",
		"old/cache/file":                     "of the cache",
	})
	at := filepath.Join(volume, "old")
	compile := filepath.Join(at, "tree/app/buildpack/bin/compile")
	script := "#!/bin/sh\nmkdir $1/.profile.d\n" +
		"echo \"export TREE=$1/file TOP=$(dirname $1)/library CACHE=" + at + "/cache/file\" >$1/.profile.d/x.sh\n"
	if err := os.WriteFile(compile, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(compile, 0o755); err != nil {
		t.Fatal(err)
	}
	l := unopened(t)
	l.Layout = func(engine.Image) (Layout, error) {
		return Layout{
			Top: filepath.Join(at, "tree"), Tree: filepath.Join(at, "tree/app"),
			Cache: filepath.Join(at, "cache"), Data: filepath.Join(at, "data"),
		}, os.MkdirAll(filepath.Join(at, "data"), 0o755)
	}
	if err := l.Open(); err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	image := engine.Image{App: "blog", Build: "b", Folder: "app"}
	built, err := l.Build(t.Context(), engine.BuildJob{Image: image, Buildpack: "./buildpack", Out: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	moved := filepath.Join(volume, "new")
	if err := os.Rename(at, moved); err != nil {
		t.Fatal(err)
	}
	at = moved
	var out rig.Screen
	p, err := l.Start(t.Context(), engine.Job{
		App: "blog", Release: 1, Type: "run", Index: 1, Image: image, Out: &out,
		Argv: []string{"/bin/sh", "-c", "for f in $TREE $TOP $CACHE; do cat $f; echo; done"},
		Env:  cmdline.With(cmdline.Base(nil), built.Env),
	})
	if err != nil {
		t.Fatal(err)
	}
	<-p.Done()
	if want := "of the tree\nof the top\nof the cache\n"; out.String() != want {
		t.Errorf("it printed %q", out.String())
	}
}
