package builder

import (
	"bytes"
	"context"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"strings"

	"github.com/Masterminds/semver/v3"
	"golang.org/x/mod/modfile"

	"paas/builder/cmdline"
	"paas/builder/tree"
	"paas/say"
)

var golang = language{kind: "go", detect: detectGo}

var goTool = tool{
	name:        "go",
	install:     "Go (https://go.dev/dl, or the package golang)",
	versionArgs: []string{"version"},
	// else go silently downloads another version
	env: map[string]string{"GOTOOLCHAIN": "local"},
}

// goApp is a tree with a Go module or a single main package.
type goApp struct {
	module   bool // has a go.mod
	requires []requirement
}

func detectGo(root *os.Root) (project, error) {
	content, err := tree.ReadIf(root, "go.mod", 4<<20)
	if err != nil || content == nil && !hasMain(root) {
		return nil, err
	}
	return goApp{module: content != nil, requires: goRequirements(content)}, nil
}

// hasMain reports whether the top folder contains a main package.
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
	t.requires = g.requires
	return []tool{t}
}

// isScript reports whether a main package without a module is only a tool of an app in another
// language.
func (g goApp) isScript(p *plan) bool { return !g.module && p.kind != "go" }

func (goApp) web(*os.Root) (string, error) { return appProgram, nil }

// build compiles the module's programs into .paas/bin, which is at the front of PATH: with a
// Procfile all of them, under their own names; without one the one that is the app.
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
		return noWebProcess("go.mod, but no main package", "node server.js")
	case !b.plan.runs("go"):
	case len(programs) > 1:
		return noWebProcess(fmt.Sprintf("%d main packages, none at the top", len(programs)),
			path.Base(programs[0]))
	default:
		target = appProgram
	}
	if _, err := b.output("bin"); err != nil {
		return err
	}
	// -trimpath: else the compiler's cache depends on the folder, which differs for each build.
	// -modcacherw: else only root can delete the module cache.
	argv := []string{"go", "build", "-trimpath", "-buildvcs=false", "-modcacherw", "-o", target}
	return b.run(ctx, "go build", env, append(argv, programs...)...)
}

// makeModule writes a go.mod if there is none, for the server's Go version. It has no requirements.
func (g goApp) makeModule(ctx context.Context, b *build) error {
	if g.module {
		return nil
	}
	for _, folder := range b.plan.above {
		if tree.IsFile(folder, "go.mod") {
			return nil
		}
	}
	printed, err := b.toolVersion(ctx, cmdline.With(b.env, goTool.env), "go", goTool.versionArgs...)
	if err != nil {
		return err
	}
	version, err := parseVersion(printed)
	if err != nil {
		return err
	}
	say.Detail(b.job.Out, "no go.mod: this build uses the standard library only; "+
		"run `go mod init NAME` and commit go.mod")
	content := fmt.Appendf(nil, "module app\n\ngo %d.%d\n", version.Major(), version.Minor())
	return b.tree.WriteFile("go.mod", content, 0o644)
}

// goPrograms returns the import paths of the main packages. Without a Procfile, a main package at
// the top is the only one.
func (b *build) goPrograms(ctx context.Context, env map[string]string) ([]string, error) {
	const form = `{{if eq .Name "main"}}{{.ImportPath}} {{.Dir}}{{end}}`
	var list bytes.Buffer
	out := say.NewBounded(&list, 1<<20, 1)
	argv := []string{"go", "list", "-modcacherw", "-e", "-find", "-f", form, "./..."}
	if err := b.runTo(ctx, out, "go list", env, argv...); err != nil {
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

// goRequirements returns the Go versions that a go.mod requires
// (https://go.dev/ref/mod#go-mod-file-go): at least that of its go line. Its toolchain line is only
// a suggestion. If go.mod cannot be parsed, go itself will report that.
func goRequirements(content []byte) []requirement {
	file, err := modfile.Parse("go.mod", content, nil)
	if err != nil { // syntax of a Go newer than this library
		file, err = modfile.ParseLax("go.mod", content, nil)
	}
	if err != nil {
		return nil
	}
	var requires []requirement
	add := func(source, version, suffix string, required bool) {
		least, err := parseVersion(version)
		if err != nil {
			return
		}
		requires = append(requires, requirement{
			source: source, text: least.Original() + suffix,
			fits: func(v *semver.Version) (fits, near bool) {
				older := v.LessThan(least)
				return !required || !older, older
			},
		})
	}
	if file.Go != nil {
		add("go.mod", file.Go.Version, " or newer", true)
	}
	if file.Toolchain != nil {
		add("toolchain in go.mod", strings.TrimPrefix(file.Toolchain.Name, "go"), "", false)
	}
	return requires
}
