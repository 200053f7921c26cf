package builder

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"github.com/tailscale/hujson"

	"paas/builder/cmdline"
	"paas/builder/tree"
)

var deno = language{kind: "deno", detect: detectDeno}

var denoTool = tool{name: "deno", install: "Deno (https://deno.com, or npm install -g deno)"}

// denoApp is a tree with a deno.json (https://docs.deno.com/runtime/fundamentals/configuration) or
// a deno.lock.
type denoApp struct {
	tasks map[string]json.RawMessage
	entry string // the file that runs

	requires []requirement
}

// isDeno reports whether a tree belongs to Deno. A package.json with a lock file of Node's belongs
// to Node, whatever else is in the tree.
func isDeno(root *os.Root) bool {
	for _, by := range installers {
		if by.lockIn(root) != "" && tree.IsFile(root, "package.json") {
			return false
		}
	}
	return tree.IsFile(root, "deno.json") || tree.IsFile(root, "deno.jsonc") ||
		tree.IsFile(root, "deno.lock")
}

func detectDeno(root *os.Root) (project, error) {
	if !isDeno(root) {
		return nil, nil
	}
	var about struct {
		Tasks map[string]json.RawMessage `json:"tasks"`
	}
	for _, name := range []string{"deno.json", "deno.jsonc"} {
		content, err := tree.ReadIf(root, name, 4<<20)
		if err != nil {
			return nil, err
		}
		if content == nil {
			continue
		}
		// both may contain comments
		if content, err = hujson.Standardize(tree.Text(content)); err == nil {
			err = json.Unmarshal(content, &about)
		}
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		break
	}
	d := denoApp{tasks: about.Tasks}
	var err error
	if d.requires, err = denoRequirements(root); err != nil {
		return nil, err
	}
	files := append(strings.Fields(d.start()), "main.ts", "main.tsx", "main.js")
	for _, file := range files {
		switch path.Ext(file) {
		case ".ts", ".tsx", ".js", ".mjs":
			if d.entry == "" && tree.IsFile(root, path.Clean(file)) {
				d.entry = path.Clean(file)
			}
		}
	}
	return d, nil
}

// start returns the start task if it is a plain command line.
func (d denoApp) start() (line string) {
	json.Unmarshal(d.tasks["start"], &line)
	return line
}

// denoWrote are the formats of a deno.lock.
var denoWrote = []writer{{"3", ">=1.37", 1}, {"4", ">=2", 2}, {"5", ">=2.3", 2}}

// denoRequirements returns the Deno versions that a tree asks for, or else those that could have
// written its deno.lock.
func denoRequirements(root *os.Root) (requires []requirement, err error) {
	asked, err := managedVersions(root, "deno")
	for _, a := range asked {
		if r, err := versionOrRange(a.source, a.text, 1); err == nil { // not a word such as latest
			requires = append(requires, r)
		}
	}
	if len(requires) == 0 {
		lock, _ := tree.Read(root, "deno.lock", maxLock)
		requires = writersOf("deno.lock", lock, denoWrote)
	}
	return requires, err
}

func (d denoApp) tools(*plan) []tool {
	t := denoTool
	t.requires = d.requires
	return []tool{t}
}

// web returns the start task's own command if possible, else `deno task` would stay in between. -A:
// it is the sandbox that separates the app from others, not Deno's permissions.
func (d denoApp) web(*os.Root) (string, error) {
	switch {
	case d.start() != "":
		return d.start(), nil
	case d.tasks["start"] != nil:
		return "deno task start", nil
	case d.entry != "":
		return "deno run -A " + cmdline.Quote(d.entry), nil
	case d.makesSite():
		return "", nil
	}
	return "", noWebProcess("Deno app without main.ts", "deno run -A server.ts",
		"a start task to deno.json")
}

func (d denoApp) makesSite() bool { return d.tasks["build"] != nil }

func (d denoApp) site(root *os.Root) (string, error) {
	folder := folderWith(root, "index.html", "_site", "dist", "build", "out", "public", ".")
	if folder == "" {
		return "", errors.New("deno task build left no index.html in _site, dist, build, out or " +
			"public; add a start task to deno.json")
	}
	return folder, nil
}

// build downloads what the app imports into Deno's folder in the cache. Deno finds modules there by
// their content, and so does the running app.
func (d denoApp) build(ctx context.Context, b *build) error {
	b.step("deno")
	for name, value := range map[string]string{
		"DENO_DIR":             b.cache("deno"),
		"DENO_NO_UPDATE_CHECK": "1",
		"DENO_NO_PROMPT":       "1",
	} {
		b.setEnv(name, value)
	}
	env := cmdline.With(b.env, b.built.Env)
	env["PATH"] = b.env["PATH"]
	argv := []string{"deno", "install", "--quiet"}
	if tree.IsFile(b.tree, "deno.lock") {
		argv = append(argv, "--frozen")
	}
	if err := b.run(ctx, "deno install", env, argv...); err != nil {
		return err
	}
	if d.entry != "" { // only the file itself lists what it imports by URL
		if err := b.run(ctx, "deno install --entrypoint "+d.entry, env,
			append(argv, "--entrypoint", d.entry)...); err != nil {
			return err
		}
	}
	if !d.makesSite() {
		return nil
	}
	return b.run(ctx, "deno task build", env, "deno", "task", "--quiet", "build")
}
