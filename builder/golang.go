package builder

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
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
	// else it is the version that go downloads silently
	env: map[string]string{"GOTOOLCHAIN": "local"},
}

// fetch lets go download the version that go.mod asks for (https://go.dev/doc/toolchain). Go itself
// checks it, and keeps it in the app's cache.
func (g goApp) fetch(ctx context.Context, b *build) (version string) {
	has := b.versionOf(ctx, goTool)
	if has == nil || has.LessThan(semver.New(1, 21, 0, "", "")) { // it downloads nothing
		return ""
	}
	var newest *semver.Version
	for _, r := range g.requires {
		if r.only != nil && (newest == nil || r.only.GreaterThan(newest)) {
			newest = r.only
		}
	}
	b.goToolchain = fmt.Sprintf("go%s+auto", newest) // 1.22 is called go1.22.0
	return newest.String()
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
	t.requires, t.fetchesItself = g.requires, g.fetch
	return []tool{t}
}

// isScript reports whether a main package without a module is only a tool of an app in another
// language.
func (g goApp) isScript(p *plan) bool { return !g.module && p.kind != "go" }

func (goApp) web(*os.Root) (string, error) { return appProgram, nil }

// build compiles the module's programs into .paas/bin: with a Procfile all of them, under their own
// names; without one the one that is the app.
func (g goApp) build(ctx context.Context, b *build) error {
	if g.isScript(b.plan) {
		return nil
	}
	b.step("go")
	env := cmdline.With(b.env, map[string]string{
		"GOTOOLCHAIN": cmp.Or(b.goToolchain, "local"),
		"GOPATH":      b.cache("go"),
		"GOMODCACHE":  b.cache("go", "mod"),
		"GOCACHE":     b.cache("go", "build"),
	})
	if err := g.makeModule(ctx, b); err != nil {
		return err
	}
	programs, err := b.goPrograms(ctx, env)
	if err != nil {
		return err
	}
	switch {
	case len(programs) == 0 && !b.plan.runs("go"):
		say.Detail(b.job.Out, "no main package: nothing to compile")
		return nil
	case len(programs) == 0:
		return noWebProcess("go.mod, but no main package", "node server.js")
	case b.plan.runs("go") && len(programs) > 1:
		return noWebProcess(fmt.Sprintf("%d main packages, none at the top", len(programs)),
			programs[0].name)
	}
	if _, err := b.output("bin"); err != nil {
		return err
	}
	if b.plan.runs("go") {
		return b.run(ctx, "go build", env, goBuild(appProgram, programs)...)
	}
	if err := b.goBuildAll(ctx, env, programs); err != nil || !b.plan.hasWord("go") {
		return err
	}
	return b.setGoEnv(ctx, env)
}

// setGoEnv lets processes that run go use what the build has compiled. go needs to write to its
// cache, so they get one of their own, of hard links: go never changes the content of a file there.
func (b *build) setGoEnv(ctx context.Context, env map[string]string) error {
	own := filepath.Join(b.job.Tree, ".paas", "go-build")
	if err := clone(ctx, b.cache("go", "build"), own, true); err != nil {
		return err
	}
	for _, name := range []string{"GOTOOLCHAIN", "GOPATH", "GOMODCACHE"} {
		b.setEnv(name, env[name])
	}
	b.setEnv("GOCACHE", own)
	b.setEnv("GOFLAGS", "-trimpath -buildvcs=false") // else nothing in the cache fits
	return nil
}

// goBuild is the command that compiles programs. If target ends in a slash, go names them.
//
// -trimpath: else the compiler's cache depends on the folder, which differs for each build.
// -modcacherw: else only root can delete the module cache.
func goBuild(target string, programs []goProgram) []string {
	argv := []string{"go", "build", "-trimpath", "-buildvcs=false", "-modcacherw", "-o", target}
	for _, p := range programs {
		argv = append(argv, p.path)
	}
	return argv
}

// goBuildAll compiles what the Procfile names, and then the other programs, such as examples, of
// which it leaves out those that do not compile. If the Procfile names none, all must compile: a
// script may run them.
func (b *build) goBuildAll(ctx context.Context, env map[string]string, programs []goProgram) error {
	var named, others []goProgram
	for _, p := range programs {
		if b.plan.names(p.name) || b.plan.goRuns(p) {
			named = append(named, p)
		} else {
			others = append(others, p)
		}
	}
	if len(named) == 0 {
		named, others = others, nil
	}
	known := map[string]string{} // name -> path
	for _, p := range named {
		if other := known[p.name]; other != "" {
			return fmt.Errorf("%s and %s are both called %s; rename the folder of one",
				other, p.path, p.name)
		}
		known[p.name] = p.path
	}
	if err := b.run(ctx, "go build", env, goBuild(binFolder+"/", named)...); err != nil {
		return err
	}
	others = slices.DeleteFunc(others, func(p goProgram) bool {
		other := known[p.name]
		if other == "" {
			known[p.name] = p.path
			return false
		}
		say.Detail(b.job.Out, "leaving out %s: %s is called %s too", p.path, other, p.name)
		return true
	})
	if err := b.goBuildOthers(ctx, env, others); err != nil {
		return err
	}
	return b.linkPrograms()
}

// goBuildOthers compiles programs that are not needed: all at once, or each alone if some do not
// compile. Those it reports.
func (b *build) goBuildOthers(
	ctx context.Context, env map[string]string, programs []goProgram,
) error {
	compile := func(programs ...goProgram) error {
		why := &reason{failure: failures["go build"]}
		lines := say.NewFlat(why)
		err := b.runTo(ctx, lines, "go build", env, goBuild(binFolder+"/", programs)...)
		lines.Close()
		return why.explain(err)
	}
	if len(programs) == 0 || compile(programs...) == nil {
		return nil
	}
	for _, p := range programs {
		err := compile(p)
		if ctx.Err() != nil {
			return err
		}
		if err != nil {
			say.Detail(b.job.Out, "leaving out %s, which the Procfile does not name: %v", p.path, err)
		}
	}
	return nil
}

// goRuns reports whether a command line has go run the program: by its folder or one of its files.
func (p *plan) goRuns(program goProgram) bool {
	for _, line := range p.processes {
		words := cmdline.Words(line)
		if slices.Contains(words, "go") && slices.ContainsFunc(words, func(word string) bool {
			if path.Ext(word) == ".go" {
				word = path.Dir(word)
			}
			return path.Clean(word) == program.dir
		}) {
			return true
		}
	}
	return false
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

// goProgram is a main package.
type goProgram struct {
	path string // import path
	name string // of the file that go makes
	dir  string // relative to the tree
}

// goPrograms returns the main packages. Without a Procfile, a main package at the top is the only
// one.
func (b *build) goPrograms(ctx context.Context, env map[string]string) ([]goProgram, error) {
	const form = "{{if eq .Name `main`}}{{.ImportPath}}\t{{.Target}}\t{{.Dir}}{{end}}"
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
	var programs []goProgram
	for line := range strings.Lines(b.job.View.Outside(list.String())) {
		words := strings.SplitN(strings.TrimSuffix(line, "\n"), "\t", 3)
		if len(words) < 3 { // a warning, not a package
			continue
		}
		info, err := os.Stat(words[2])
		if err != nil || !info.IsDir() {
			continue
		}
		dir, err := filepath.Rel(b.job.Tree, words[2])
		if err != nil {
			return nil, err
		}
		program := goProgram{words[0], path.Base(words[1]), filepath.ToSlash(dir)}
		if b.plan.runs("go") && os.SameFile(top, info) {
			return []goProgram{program}, nil
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
			source: source, text: least.Original() + suffix, only: least,
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
