package builder

import (
	"maps"
	"os"
	"paas/formation"
	"paas/rig"
	"path/filepath"
	"strings"
	"testing"
)

func TestDetect(t *testing.T) {
	for name, test := range map[string]struct {
		files  map[string]string
		kind   string
		web    string
		static string
	}{
		"procfile": {
			map[string]string{"Procfile": "web: ./serve\nworker: x"}, "procfile", "./serve", "",
		},
		"procfile, node": {
			map[string]string{
				"Procfile":     "web: node x",
				"package.json": `{"scripts": {"start": "node y"}}`,
			},
			"node", "node x", "",
		},
		"worker only": {
			map[string]string{"Procfile": "worker: x", "index.html": ""}, "procfile", "", "",
		},
		"start script": {
			map[string]string{
				"package.json": `{"scripts": {"start": "node a.js --x"}, "main": "b.js"}`,
				"b.js":         "",
			},
			"node", "node a.js --x", "",
		},
		"prestart": {
			map[string]string{
				"package.json": `{"scripts": {"start": "node a.js", "prestart": "x"}}`,
			},
			"node", "npm start", "",
		},
		"main": {
			map[string]string{
				"package.json": "\ufeff" + `{"main": "./lib/b"}`,
				"lib/b.js":     "",
				"server.js":    "",
			},
			"node", "node ./lib/b.js", "",
		},
		"odd main": {
			map[string]string{"package.json": `{"main": "a b.js"}`, "a b.js": ""}, "node",
			"node 'a b.js'", "",
		},
		"main not there": {
			map[string]string{"package.json": `{"main": "index.js"}`, "server.js": ""}, "node",
			"node server.js", "",
		},
		"main outside": {
			map[string]string{"package.json": `{"main": "../../etc/passwd"}`, "server.js": ""},
			"node", "node server.js", "",
		},
		"go": {map[string]string{"go.mod": "module x"}, "go", ".paas/bin/app", ""},
		"go, tools of node": {
			map[string]string{"go.mod": "module x", "package.json": `{"devDependencies": {}}`},
			"go", ".paas/bin/app", "",
		},
		"go, no module": {
			map[string]string{"main.go": mainGo, "index.html": ""}, "go", ".paas/bin/app", "",
		},
		"go, no main": {
			map[string]string{"lib.go": "package lib", "x_test.go": mainGo, "index.html": ""},
			"static", "", ".",
		},
		"pnpm, prestart": {
			map[string]string{
				"package.json":   `{"scripts": {"start": "a", "prestart": "b"}}`,
				"pnpm-lock.yaml": "",
			},
			"node", "pnpm start", "",
		},
		"bun": {
			map[string]string{
				"package.json": `{"module": "index.ts"}`,
				"bun.lock":     "",
				"index.ts":     "",
			},
			"bun", "bun index.ts", "",
		},
		"bun, by name": {
			map[string]string{
				"package.json": `{"packageManager": "bun@1.2.0", "scripts": {"start": "next start"}}`,
			},
			"bun", "next start", "",
		},
		"bun's second": {
			map[string]string{
				"package.json":      `{"scripts": {"start": "x"}}`,
				"bun.lock":          "",
				"package-lock.json": "",
			},
			"node", "x", "",
		},
		"uv": {
			map[string]string{"uv.lock": "", "pyproject.toml": "", "main.py": ""}, "python",
			"python main.py", "",
		},
		"python with more": {
			map[string]string{"requirements.txt": "", "bin/start": "#!/bin/sh"}, "start",
			"bin/start", "",
		},
		"python": {
			map[string]string{"requirements.txt": "", "app.py": ""}, "python", "python app.py", "",
		},
		"pyproject": {
			map[string]string{"pyproject.toml": "", "main.py": ""}, "python", "python main.py", "",
		},
		"bin/start": {
			map[string]string{"bin/start": "#!/bin/sh"}, "start", "bin/start", "",
		},
		"static": {
			map[string]string{"index.html": "", "public/index.html": ""}, "static", "", ".",
		},
		"static public": {map[string]string{"public/index.html": ""}, "static", "", "public"},
		"static marked": {map[string]string{".static": "", "index.html": "",
			"package.json": `{"scripts": {"start": "x"}, "devDependencies": {"a": "1"}}`,
			"go.mod":       "module x", "requirements.txt": "", "app.py": ""}, "static", "", "."},
		"static marked, public": {
			map[string]string{
				".static":           "",
				"public/index.html": "",
				"server.js":         "",
				"package.json":      "{}",
			},
			"static", "", "public",
		},
		"static marked, no index": {
			map[string]string{".static": "", "notes.txt": ""}, "static", "", ".",
		},
		"static marked, procfile": {
			map[string]string{".static": "", "index.html": "", "Procfile": "web: x"}, "procfile",
			"x", "",
		},
		"static built": {
			map[string]string{"package.json": `{"scripts": {"build": "x"}}`}, "static", "", ".",
		},
	} {
		p, err := detectIn(t, rig.Tree(t, test.files))
		if err != nil || p.kind != test.kind || p.processes["web"] != test.web ||
			p.static != test.static {
			t.Errorf("%s: plan %+v, err = %v", name, p, err)
		}
	}
	// of package.json, a site needs its build script alone
	for script, want := range map[string]bool{"build": true, "start": false} {
		p, err := detectIn(t, rig.Tree(t, map[string]string{
			".static":          "",
			"go.mod":           "module x",
			"requirements.txt": "",
			"package.json":     `{"scripts": {"` + script + `": "x"}}`,
		}))
		if err != nil || p.maker != nil != want || len(p.projects) > 0 != want {
			t.Errorf(".static with script %s: plan %+v, err = %v", script, p, err)
		}
	}
	for want, files := range map[string]map[string]string{
		"nothing to run was recognised":             {"README": ""},
		"line 1 of the Procfile":                    {"Procfile": "x", "index.html": ""},
		"package.json: ":                            {"package.json": "{", "index.html": ""},
		"gunicorn NAME.wsgi":                        {"requirements.txt": "", "manage.py": ""},
		"without app.py or main.py; add a Procfile": {"requirements.txt": ""},
		"Procfile: larger than 64 kB": {
			"Procfile": strings.Repeat("#", formation.MaxProcfile+1),
		},
	} {
		_, err := detectIn(t, rig.Tree(t, files))
		rig.WantIn(t, want, rig.Message(err), want)
	}
}

func detectIn(t *testing.T, dir string) (*plan, error) {
	t.Helper()
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	return detect(root)
}

// A link in a commit does not expose what is outside.
func TestDetectStaysInTree(t *testing.T) {
	outside := rig.Tree(t, map[string]string{
		"Procfile":     "web: secret",
		"package.json": "secret",
		"index.html":   "",
	})
	for _, name := range []string{"Procfile", "package.json", "index.html"} {
		dir := t.TempDir()
		if err := os.Symlink(filepath.Join(outside, name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
		if p, err := detectIn(t, dir); err != errNothing {
			t.Errorf("%s: plan %+v, err = %v", name, p, err)
		}
	}
	dir := rig.Tree(t, map[string]string{"real": "web: x"})
	if err := os.Symlink("real", filepath.Join(dir, "Procfile")); err != nil {
		t.Fatal(err)
	}
	if p, err := detectIn(t, dir); err != nil ||
		!maps.Equal(p.processes, map[string]string{"web": "x"}) {
		t.Errorf("a link inside the tree: plan %+v, err = %v", p, err)
	}
}
