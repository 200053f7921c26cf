package builder

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"paas/builder/cmdline"
	"paas/builder/tree"
	"paas/say"
	"paas/volume"
)

var dotnet = language{kind: "dotnet", detect: func(root *os.Root) (project, error) {
	top, err := matches(root, "*.csproj", "*.fsproj", "*.vbproj", "*.sln", "*.slnx")
	if len(top) == 0 || err != nil {
		return nil, err
	}
	return dotnetApp{top}, nil
}}

// dotnetApp is a tree with .NET projects or a solution at its top.
type dotnetApp struct {
	top []string // the files of the projects and solutions
}

const installDotnet = "the .NET SDK (https://dotnet.microsoft.com/download; Debian has " +
	"no package for it)"

func (dotnetApp) tools(*plan) []tool { return []tool{{name: "dotnet", install: installDotnet}} }

// web is a placeholder: [dotnetApp.build] sets the command line.
func (dotnetApp) web(*os.Root) (string, error) { return "dotnet", nil }

// published is the folder that the app is published to.
const published = ".paas/publish"

// build publishes the app's project.
func (d dotnetApp) build(ctx context.Context, b *build) error {
	b.step("dotnet")
	project, err := d.project(b)
	if err != nil {
		return err
	}
	env := cmdline.With(b.env, map[string]string{
		"DOTNET_CLI_HOME":             b.cache("dotnet"),
		"NUGET_PACKAGES":              b.cache("nuget"),
		"DOTNET_CLI_TELEMETRY_OPTOUT": "true",
		"DOTNET_NOLOGO":               "true",
		// else a compiler process stays alive and blocks this build until it is killed
		"MSBUILDDISABLENODEREUSE": "1", "UseSharedCompilation": "false",
	})
	if err := d.checkSDK(ctx, b, env); err != nil {
		return err
	}
	if _, err := b.output(path.Base(published)); err != nil {
		return err
	}
	argv := []string{
		"dotnet", "publish", project, "--configuration", "Release", "--output", published,
		"--nologo",
	}
	if tree.IsFile(b.tree, path.Join(path.Dir(project), "packages.lock.json")) {
		argv = append(argv, "-p:RestoreLockedMode=true")
	}
	if err := b.run(ctx, "dotnet publish "+project, env, argv...); err != nil {
		return err
	}
	b.setEnv("DOTNET_CLI_TELEMETRY_OPTOUT", "true")
	b.setEnv("DOTNET_NOLOGO", "true")
	if !b.plan.runs("dotnet") {
		return nil
	}
	program, err := d.program(b.tree, project)
	if err != nil {
		return err
	}
	// env replaces itself by dotnet, a shell would stay in between
	b.plan.processes["web"] = "env ASPNETCORE_URLS=http://127.0.0.1:$PORT dotnet " +
		cmdline.Quote(program)
	return nil
}

// checkSDK fails if global.json asks for an SDK that the server lacks. It asks dotnet itself: the
// rules have eight forms (https://learn.microsoft.com/dotnet/core/tools/global-json).
func (dotnetApp) checkSDK(ctx context.Context, b *build, env map[string]string) error {
	if !tree.IsFile(b.tree, "global.json") {
		return nil
	}
	var printed strings.Builder
	out := say.NewBounded(&printed, 8<<10, 1)
	if b.runTo(ctx, out, "dotnet --version", env, "dotnet", "--version") == nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	for line := range strings.Lines(printed.String()) {
		if line = strings.TrimSpace(line); line != "" {
			say.Detail(b.job.Out, "%s", say.Plain(line, 200))
		}
	}
	return errors.New("global.json asks for a .NET SDK that this server lacks: " +
		"install " + installDotnet + " in that version, or change global.json")
}

// project returns the file to publish: the one that a config var names, the only one at the top, or
// the only web app below it. A solution cannot be published into one folder.
func (d dotnetApp) project(b *build) (string, error) {
	if name := b.job.Config["PROJECT_FILE"]; name != "" { // as on Heroku
		if !tree.IsFile(b.tree, path.Clean(name)) {
			return "", fmt.Errorf("PROJECT_FILE %.100q is not in the repository", name)
		}
		return path.Clean(name), nil
	}
	top := slices.DeleteFunc(slices.Clone(d.top), isSolution)
	if len(top) == 1 {
		return top[0], nil
	}
	all, err := matches(b.tree, "*/*.csproj", "*/*.fsproj", "*/*/*.csproj", "*/*/*.fsproj")
	if err != nil {
		return "", err
	}
	all = append(top, all...)
	web := slices.DeleteFunc(slices.Clone(all), func(name string) bool {
		content, err := tree.Read(b.tree, name, 1<<20)
		return err != nil || !strings.Contains(string(content), `"Microsoft.NET.Sdk.Web`)
	})
	switch {
	case len(web) == 1:
		return web[0], nil
	case len(all) == 1:
		return all[0], nil
	}
	return "", &volume.Problem{
		Err:    fmt.Errorf("%d projects, %d of them web apps; choose one", len(all), len(web)),
		Remedy: volume.Remedy{Do: volume.SetConfigVar, App: b.job.App, With: "PROJECT_FILE=src/Web/Web.csproj"},
	}
}

func isSolution(name string) bool {
	return strings.HasSuffix(name, ".sln") || strings.HasSuffix(name, ".slnx")
}

// program returns the published file to run. A program has a runtimeconfig.json beside it, a
// library has none.
func (dotnetApp) program(root *os.Root, project string) (string, error) {
	const suffix = ".runtimeconfig.json"
	found, err := matches(root, published+"/*"+suffix)
	if err != nil {
		return "", err
	}
	if len(found) > 1 { // programs that the app depends on are published too
		name := strings.TrimSuffix(path.Base(project), path.Ext(project))
		found = slices.DeleteFunc(found,
			func(file string) bool { return path.Base(file) != name+suffix })
	}
	if len(found) != 1 {
		return "", noWebProcess(fmt.Sprintf("dotnet publish made no program for %s", project),
			"dotnet "+published+"/NAME.dll")
	}
	return strings.TrimSuffix(found[0], suffix) + ".dll", nil
}

// matches returns the files in the tree that match one of the patterns of [path.Match], sorted.
func matches(root *os.Root, patterns ...string) ([]string, error) {
	var all []string
	for _, pattern := range patterns {
		names, err := fs.Glob(root.FS(), pattern)
		if err != nil {
			return nil, err
		}
		all = append(all, slices.DeleteFunc(names,
			func(name string) bool { return !tree.IsFile(root, name) })...)
	}
	slices.Sort(all)
	return all, nil
}
