package builder

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"

	"paas/builder/cmdline"
	"paas/builder/tree"
	"paas/volume"
)

var dotnet = language{kind: "dotnet", detect: func(root *os.Root) (project, error) {
	app, err := findDotnet(root)
	if app == nil || err != nil {
		return nil, err // not app: an interface with a nil pointer in it is not nil
	}
	return app, nil
}}

// dotnetApp is a tree with a .NET solution, project or file-based app at its top.
type dotnetApp struct{ solutions, projects, files []string }

// IsDotnet reports whether the folder of an app is one of .NET.
func IsDotnet(dir string) bool {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return false
	}
	defer root.Close()
	app, err := findDotnet(root)
	return app != nil && err == nil
}

// webFile matches the directive that makes a single C# file a web app
// (https://learn.microsoft.com/dotnet/core/sdk/file-based-apps).
var webFile = regexp.MustCompile(`(?m)^#:sdk\s+Microsoft\.NET\.Sdk\.Web(@\S+)?\s*$`)

const maxSource = 1 << 20 // bytes of such a file

func findDotnet(root *os.Root) (*dotnetApp, error) {
	solutions, err := matches(root, "*.sln", "*.slnx")
	if err != nil {
		return nil, err
	}
	projects, err := matches(root, "*.csproj", "*.fsproj", "*.vbproj")
	if len(solutions)+len(projects) > 0 || err != nil {
		return &dotnetApp{solutions: solutions, projects: projects}, err
	}
	files, err := matches(root, "*.cs")
	files = slices.DeleteFunc(files, func(name string) bool {
		content, err := tree.Read(root, name, maxSource)
		return err != nil || !webFile.Match(content)
	})
	if len(files) == 0 || err != nil {
		return nil, err
	}
	return &dotnetApp{files: files}, nil
}

const installDotnet = "the .NET SDK (https://dotnet.microsoft.com/download; Debian has " +
	"no package for it)"

func (*dotnetApp) tools(*plan) []tool { return []tool{{name: "dotnet", install: installDotnet}} }

// web is a placeholder: [dotnetApp.build] knows the processes when everything is published.
func (*dotnetApp) web(*os.Root) (string, error) { return "dotnet", nil }

// build publishes the app: each project into the folder where Heroku's build puts it.
func (d *dotnetApp) build(ctx context.Context, b *build) error {
	b.step("dotnet")
	target, err := d.target(b)
	if err != nil {
		return err
	}
	sdk := dotnetSDK{b, cmdline.With(b.env, map[string]string{
		"DOTNET_CLI_HOME":             b.cache("dotnet"),
		"NUGET_PACKAGES":              b.cache("nuget"),
		"DOTNET_CLI_TELEMETRY_OPTOUT": "true",
		"DOTNET_NOLOGO":               "true",
		// else the first build of an app prints a line about workloads that looks like an error
		"DOTNET_SKIP_WORKLOAD_INTEGRITY_CHECK": "1",
		// else a compiler process stays alive and blocks this build until it is killed
		"MSBUILDDISABLENODEREUSE": "1", "UseSharedCompilation": "false",
	})}
	if err := sdk.check(ctx); err != nil {
		return err
	}
	if err := sdk.restoreTools(ctx); err != nil {
		return err
	}
	projects, err := sdk.projects(ctx, target)
	if err != nil {
		return err
	}
	if err := sdk.publish(ctx, target, projects); err != nil {
		return err
	}
	for _, name := range []string{"DOTNET_CLI_TELEMETRY_OPTOUT", "DOTNET_NOLOGO"} {
		b.setEnv(name, "true")
	}
	var configs []string
	if b.plan.runs("dotnet") {
		configs, err = sdk.start(ctx, target, projects)
	} else {
		configs = sdk.configs(projects)
	}
	if err != nil {
		return err
	}
	return sdk.checkRuntimes(ctx, configs)
}

// target returns what to publish: the file that a config var names, or the only solution, else the
// only project, else the only web app in one file at the top.
func (d *dotnetApp) target(b *build) (string, error) {
	const project, solution = "PROJECT_FILE", "SOLUTION_FILE" // as on Heroku
	for _, name := range []string{project, solution} {
		file := b.job.Config[name]
		if file == "" {
			continue
		}
		if !tree.IsFile(b.tree, path.Clean(file)) {
			return "", fmt.Errorf("%s %.100q is not in the repository", name, file)
		}
		return path.Clean(file), nil
	}
	files, what, name := d.solutions, "solutions", solution
	if len(files) == 0 {
		files, what, name = d.projects, "projects", project
	}
	if len(files) == 0 {
		files, what = d.files, "web apps"
	}
	if len(files) > 1 {
		return "", &volume.Problem{
			Err: fmt.Errorf("%d %s: %s; choose one", len(files), what, strings.Join(files, ", ")),
			Remedy: volume.Remedy{
				Do: volume.SetConfigVar, App: b.job.App, With: name + "=" + files[0],
			},
		}
	}
	return files[0], nil
}

// commitHas returns the first of the files that is in the tree or in a folder above it in the
// commit, where dotnet looks too; "" if none is.
func (b *build) commitHas(names ...string) string {
	for _, folder := range append([]*os.Root{b.tree}, b.plan.above...) {
		for _, name := range names {
			if tree.IsFile(folder, name) {
				return name
			}
		}
	}
	return ""
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
