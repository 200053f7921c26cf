package builder

import (
	"os"
	"path/filepath"
	"testing"

	"paas/rig"
	"paas/volume"
)

// If there is nothing to run at the top, the error says where an app is, or why something is none.
func TestNothingToRun(t *testing.T) {
	b := newBuilder(t)
	node := `{"scripts": {"start": "node x"}}`
	for name, test := range map[string]struct {
		files map[string]string
		want  string
		dir   string // that is proposed
	}{
		"one folder": {
			map[string]string{"README": "", "web/package.json": node, "docs/x.md": ""},
			"nothing to run was recognised at the top, but in the folder web", "web",
		},
		"deeper": {
			map[string]string{"apps/web/package.json": node, "node_modules/a/package.json": node},
			"but in the folder apps/web", "apps/web",
		},
		"two folders": {
			map[string]string{"a/go.mod": "module a", "b/Procfile": "web: x"},
			"but in the folders a, b; choose one, or add a Procfile", "FOLDER",
		},
		"incomplete": {
			map[string]string{"a/requirements.txt": ""}, "but in the folder a", "a",
		},
		"a Dockerfile": {
			map[string]string{"Dockerfile": "FROM scratch"},
			"The Dockerfile is not used: builds need no image", "",
		},
		"nothing": {map[string]string{"README": ""}, "nothing to run was recognised: looked for", ""},
		"from Windows": {
			map[string]string{"bin/start": "#!/bin/sh\r\nexec x\r\n", "index.html": ""},
			"bin/start has Windows line endings, so it cannot run: convert it with", "",
		},
	} {
		_, _, _, err := buildFiles(t, b, t.TempDir(), test.files)
		rig.WantIn(t, name, rig.Message(err), test.want)
		if got := volume.RemedyOf(err); got.With != test.dir {
			t.Errorf("%s: proposes %q, want %q", name, got.With, test.dir)
		}
	}
}

func TestStartScriptIsNotExecutable(t *testing.T) {
	dir := rig.Tree(t, map[string]string{"bin/start": "#!/bin/sh\n", "index.html": ""})
	if err := os.Chmod(filepath.Join(dir, "bin/start"), 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := detectIn(t, dir)
	want := "bin/start is not executable: git update-index --chmod=+x bin/start"
	if rig.Message(err) != want {
		t.Errorf("err = %v, want %s", err, want)
	}
}
