package builder

import (
	"strings"
	"testing"

	"paas/rig"
)

func TestDetectDeno(t *testing.T) {
	for want, files := range map[string]map[string]string{
		"deno run -A server.ts": {
			"deno.jsonc": "{// a comment\n\"tasks\": {\"start\": \"deno run -A server.ts\",}}",
			"server.ts":  "",
		},
		"deno task start": {
			"deno.json": `{"tasks": {"start": {"command": "deno run x.ts", "dependencies": ["build"]}}}`,
		},
		"deno run -A main.ts": {"deno.json": "{}", "main.ts": "", "package.json": "{}"},
		"deno run -A main.js": {"deno.lock": "", "main.js": ""},
	} {
		if p, err := detectIn(t, rig.Tree(t, files)); err != nil || p.kind != "deno" ||
			p.processes["web"] != want || len(p.projects) != 1 {
			t.Errorf("want %s, got %+v, err = %v", want, p, err)
		}
	}
	p, err := detectIn(t, rig.Tree(t, map[string]string{
		"deno.json":         "{}",
		"main.ts":           "",
		"package.json":      `{"main": "main.js"}`,
		"main.js":           "",
		"package-lock.json": "",
	}))
	if err != nil || p.kind != "node" {
		t.Errorf("with a lock file of Node's: %+v, err = %v", p, err)
	}
	for want, files := range map[string]map[string]string{
		"deno.json: ":                {"deno.json": "{", "main.ts": ""},
		"Deno app without main.ts; ": {"deno.json": "{}"},
	} {
		_, err := detectIn(t, rig.Tree(t, files))
		rig.WantIn(t, want, rig.Message(err), want)
	}
}

// The second build makes no request to the registry. A lock file that does not match fails the
// build.
func TestBuildDeno(t *testing.T) {
	rig.Need(t, "deno")
	b, r, cache := newBuilder(t), newRegistry(t), t.TempDir()
	files := map[string]string{
		".npmrc":    "registry=" + r.URL + "\n",
		"deno.json": `{"tasks": {"start": "deno run --allow-read main.ts", "build": "echo built > made.txt"}, "imports": {"greet": "npm:greet@^1.0.0"}}`,
		"main.ts":   `import hello from "greet"; console.log(hello() + Deno.readTextFileSync("made.txt"))`,
	}
	files["deno.lock"] = lockFile(t, files, nil, "deno.lock", []string{"deno", "install"})
	build := func() (out, page string, fetched int64, err error) {
		t.Helper()
		dir, screen := rig.Tree(t, files), &rig.Screen{}
		before := r.Files.Load()
		built, err := b.Build(t.Context(), Job{App: "blog", Tree: dir, Cache: cache, Out: screen})
		// now and then deno asks the registry again what versions there are, and says so
		page = printed(t, b, dir, built, built.Processes["web"])
		return screen.String(), page, r.Files.Load() - before, err
	}
	out, page, _, err := build()
	if err != nil || !strings.Contains(page, "hellobuilt\n\n") {
		t.Fatalf("err = %v, printed %q; log:\n%s", err, page, out)
	}
	files["main.ts"] = strings.Replace(files["main.ts"], "hello()", "hello().toUpperCase()", 1)
	out, page, fetched, err := build()
	if err != nil || !strings.Contains(page, "HELLObuilt\n\n") {
		t.Fatalf("err = %v, printed %q; log:\n%s", err, page, out)
	}
	if fetched > 0 {
		t.Errorf("fetched %d packages again; log:\n%s", fetched, out)
	}
	files["deno.json"] = strings.Replace(files["deno.json"], "^1.0.0", "<=1.0.0", 1)
	out, _, _, err = build()
	want := "deno install: exit status 1: the lock file does not fit; " +
		"run deno install and commit deno.lock"
	if rig.Message(err) != want {
		t.Errorf("err = %v; log:\n%s", err, out)
	}
}
