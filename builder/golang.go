package builder

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"strings"

	"paas/builder/cmdline"
	"paas/builder/tree"
	"paas/say"
)

// goProgram is where the one program of an app without a Procfile is built to.
const goProgram = ".paas/bin/app"

var golang = language{kind: "go", detect: detectGo}

var goTool = tool{
	name:    "go",
	install: "install Go (https://go.dev/dl, or the package golang)",
	ask:     []string{"version"},
	env:     map[string]string{"GOTOOLCHAIN": "local"}, // else it fetches another one, without a word
}

// goApp is a tree of Go: a module, or a main package alone.
type goApp struct {
	module bool // go.mod is there
	wishes []wish
}

func detectGo(root *os.Root) (project, error) {
	if !tree.IsFile(root, "go.mod") {
		if !hasMain(root) {
			return nil, nil
		}
		return goApp{}, nil
	}
	content, err := tree.Read(root, "go.mod", 4<<20)
	return goApp{module: true, wishes: goWishes(content)}, err
}

// hasMain says whether there is a main package at the top.
func hasMain(root *os.Root) bool {
	files, _ := fs.Glob(root.FS(), "*.go")
	for _, name := range files {
		if strings.HasSuffix(name, "_test.go") || !tree.IsFile(root, name) {
			continue
		}
		content, err := tree.Read(root, name, 4<<20)
		if err != nil {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, content, parser.PackageClauseOnly)
		if err == nil && file.Name.Name == "main" {
			return true
		}
	}
	return false
}

func (g goApp) tools(p *plan) []tool {
	if g.isScript(p) {
		return nil
	}
	t := goTool
	t.wishes = g.wishes
	return []tool{t}
}

// isScript says whether a main package without a module is but a tool of an app in another language.
func (g goApp) isScript(p *plan) bool { return !g.module && p.kind != "go" }

func (goApp) web(*os.Root) (string, error) { return goProgram, nil }

// build compiles the module's programs into .paas/bin, which is in front of PATH: for a Procfile
// all of them, each under its own name; without one, the one that is the app.
func (g goApp) build(ctx context.Context, b *build) error {
	if g.isScript(b.plan) {
		return nil
	}
	b.step("go")
	env := cmdline.With(cmdline.With(b.env, goTool.env), map[string]string{
		"GOPATH":     b.cache("go"),
		"GOMODCACHE": b.cache("go", "mod"),
		"GOCACHE":    b.cache("go", "build"),
	})
	if err := g.makeModule(ctx, b); err != nil {
		return err
	}
	programs, err := b.goPrograms(ctx, env)
	if err != nil {
		return err
	}
	target := ".paas/bin/" // a folder: go names the programs
	switch {
	case len(programs) == 0 && !b.plan.runs("go"):
		say.Detail(b.job.Out, "no main package: nothing to compile")
		return nil
	case len(programs) == 0:
		return errors.New("go.mod, but no main package to run; add a Procfile with a line like `web: node server.js`")
	case !b.plan.runs("go"):
	case len(programs) > 1:
		return fmt.Errorf("%d main packages, none of them at the top; say which to run in a Procfile, with a line like `web: %s`",
			len(programs), path.Base(programs[0]))
	default:
		target = goProgram
	}
	if _, err := b.output("bin"); err != nil {
		return err
	}
	// -trimpath: else the compiler's cache knows a package by its folder, another one each time.
	// -modcacherw: else only root can take the module cache away again.
	argv := []string{"go", "build", "-trimpath", "-buildvcs=false", "-modcacherw", "-o", target}
	return b.run(ctx, "go build", env, append(argv, programs...)...)
}

// makeModule makes up the go.mod that is missing, of the server's version; it can require nothing.
func (g goApp) makeModule(ctx context.Context, b *build) error {
	if g.module {
		return nil
	}
	for _, folder := range b.plan.above {
		if tree.IsFile(folder, "go.mod") {
			return nil
		}
	}
	said, err := b.toolVersion(ctx, cmdline.With(b.env, goTool.env), "go", goTool.ask...)
	if err != nil {
		return err
	}
	version, err := parseVersion(said)
	if err != nil {
		return err
	}
	say.Detail(b.job.Out, "no go.mod: one is made for this build, for the standard library alone; `go mod init NAME` makes one to commit")
	return b.tree.WriteFile("go.mod", fmt.Appendf(nil, "module app\n\ngo %d.%d\n", version.Major(), version.Minor()), 0o644)
}

// goPrograms are the import paths of the main packages; the one at the top alone, where there is
// one that is the app.
func (b *build) goPrograms(ctx context.Context, env map[string]string) ([]string, error) {
	const form = `{{if eq .Name "main"}}{{.ImportPath}} {{.Dir}}{{end}}`
	var list bytes.Buffer
	out := say.NewBounded(&list, 1<<20, 1)
	if err := b.runTo(ctx, out, "go list", env, "go", "list", "-modcacherw", "-e", "-find", "-f", form, "./..."); err != nil {
		say.Detail(b.job.Out, "%s", list.String())
		return nil, err
	}
	top, err := b.tree.Stat(".")
	if err != nil {
		return nil, err
	}
	var programs []string
	for line := range strings.Lines(list.String()) {
		program, dir, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		info, err := os.Stat(dir)
		if err != nil || !info.IsDir() { // a warning, not a package
			continue
		}
		if b.plan.runs("go") && os.SameFile(top, info) {
			return []string{program}, nil
		}
		programs = append(programs, program)
	}
	return programs, nil
}
