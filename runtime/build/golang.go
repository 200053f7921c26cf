package build

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path"
	"strings"

	"paas/runtime/command"
	"paas/runtime/tree"
	"paas/say"
)

// goProgram is where the one program of an app without a Procfile is built to.
const goProgram = ".paas/bin/app"

var golang = language{kind: "go", detect: func(root *os.Root) (project, error) {
	if !tree.IsFile(root, "go.mod") {
		return nil, nil
	}
	return goModule{}, nil
}}

// goModule is a tree with a go.mod at its top.
type goModule struct{}

var goTool = tool{name: "go", install: "install Go (https://go.dev/dl, or the package golang)"}

func (goModule) tools(*plan) []tool { return []tool{goTool} }

func (goModule) web(*os.Root) (string, error) { return goProgram, nil }

// build compiles the module's programs into .paas/bin, which is in front of PATH: for a Procfile
// all of them, each under its own name; without one, the one that is the app.
func (goModule) build(ctx context.Context, b *build) error {
	b.step("go")
	env := command.With(b.env, map[string]string{
		"GOPATH":     b.cache("go"),
		"GOMODCACHE": b.cache("go", "mod"),
		"GOCACHE":    b.cache("go", "build"),
	})
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

// goPrograms are the import paths of the main packages; the one at the top alone, where there is
// one that is the app.
func (b *build) goPrograms(ctx context.Context, env map[string]string) ([]string, error) {
	const form = `{{if eq .Name "main"}}{{if eq .Dir .Module.Dir}}top {{end}}{{.ImportPath}}{{end}}`
	var list bytes.Buffer
	out := say.NewBounded(&list, 1<<20, 1)
	if err := b.runTo(ctx, out, "go list", env, "go", "list", "-modcacherw", "-e", "-find", "-f", form, "./..."); err != nil {
		say.Detail(b.job.Out, "%s", list.String())
		return nil, err
	}
	var programs []string
	for line := range strings.Lines(list.String()) {
		program, top := strings.CutPrefix(strings.TrimSpace(line), "top ")
		if top && b.plan.runs("go") {
			return []string{program}, nil
		}
		if program != "" && !strings.Contains(program, " ") { // a warning has more words
			programs = append(programs, program)
		}
	}
	return programs, nil
}
