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
)

var dotnet = language{kind: "dotnet", detect: func(root *os.Root) (project, error) {
	top, err := matches(root, "*.csproj", "*.fsproj", "*.vbproj", "*.sln", "*.slnx")
	if len(top) == 0 || err != nil {
		return nil, err
	}
	return dotnetApp{top}, nil
}}

// dotnetApp is a tree with projects of .NET, or a solution of such, at its top.
type dotnetApp struct {
	top []string // their files
}

const installDotnet = "install the .NET SDK (https://dotnet.microsoft.com/download; Debian has no package of it)"

func (dotnetApp) tools(*plan) []tool { return []tool{{name: "dotnet", install: installDotnet}} }

// web is made of what the build has left: see [dotnetApp.build].
func (dotnetApp) web(*os.Root) (string, error) { return "dotnet", nil }

// published is where the app is published to.
const published = ".paas/publish"

// build publishes the project that is the app.
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
		// Else a compiler stays behind for the next build, and holds this one up until it is killed.
		"MSBUILDDISABLENODEREUSE": "1", "UseSharedCompilation": "false",
	})
	if err := d.checkSDK(ctx, b, env); err != nil {
		return err
	}
	if _, err := b.output(path.Base(published)); err != nil {
		return err
	}
	argv := []string{"dotnet", "publish", project, "--configuration", "Release", "--output", published, "--nologo"}
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
	// By env, which goes once it has set it: a shell would stay in between.
	b.plan.processes["web"] = "env ASPNETCORE_URLS=http://127.0.0.1:$PORT dotnet " + cmdline.Quote(program)
	return nil
}

// checkSDK says what is missing where global.json asks for an SDK. Which one fits is dotnet's to say: its
// rules have eight forms (https://learn.microsoft.com/dotnet/core/tools/global-json).
func (dotnetApp) checkSDK(ctx context.Context, b *build, env map[string]string) error {
	if !tree.IsFile(b.tree, "global.json") {
		return nil
	}
	var said strings.Builder
	out := say.NewBounded(&said, 8<<10, 1)
	if b.runTo(ctx, out, "dotnet --version", env, "dotnet", "--version") == nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	for line := range strings.Lines(said.String()) {
		if line = strings.TrimSpace(line); line != "" {
			say.Detail(b.job.Out, "%s", say.Plain(line, 200))
		}
	}
	return errors.New("global.json asks for a .NET SDK that is not on this server: " + installDotnet + " in that version, or change global.json")
}

// project is the file to publish: the one that config vars name, the only one at the top, or the only one
// of a web app below it. A solution itself cannot be published into one folder.
func (d dotnetApp) project(b *build) (string, error) {
	if name := b.job.Config["PROJECT_FILE"]; name != "" { // Heroku's name for it
		if !tree.IsFile(b.tree, path.Clean(name)) {
			return "", fmt.Errorf("PROJECT_FILE names %.100q, which is not in the repository", name)
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
	return "", fmt.Errorf("%d projects, %d of them web apps; say which to publish: config:set %s PROJECT_FILE=src/Web/Web.csproj",
		len(all), len(web), b.job.App)
}

func isSolution(name string) bool {
	return strings.HasSuffix(name, ".sln") || strings.HasSuffix(name, ".slnx")
}

// program is the file to run: each program has its runtimeconfig.json beside it, a library has none.
func (dotnetApp) program(root *os.Root, project string) (string, error) {
	const suffix = ".runtimeconfig.json"
	found, err := matches(root, published+"/*"+suffix)
	if err != nil {
		return "", err
	}
	if len(found) > 1 { // a program that the app depends on comes along
		name := strings.TrimSuffix(path.Base(project), path.Ext(project))
		found = slices.DeleteFunc(found, func(file string) bool { return path.Base(file) != name+suffix })
	}
	if len(found) != 1 {
		return "", fmt.Errorf("dotnet publish left no program of %s that can be told; add a Procfile with a line like `web: dotnet %s/NAME.dll`", project, published)
	}
	return strings.TrimSuffix(found[0], suffix) + ".dll", nil
}

// matches are the files in the tree that one of patterns names, as path.Match has it, sorted.
func matches(root *os.Root, patterns ...string) ([]string, error) {
	var all []string
	for _, pattern := range patterns {
		names, err := fs.Glob(root.FS(), pattern)
		if err != nil {
			return nil, err
		}
		all = append(all, slices.DeleteFunc(names, func(name string) bool { return !tree.IsFile(root, name) })...)
	}
	slices.Sort(all)
	return all, nil
}
