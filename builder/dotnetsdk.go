package builder

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"paas/builder/tree"
	"paas/say"
)

// dotnetSDK is the server's dotnet in a build. What projects are is asked of it: what their files
// say can come from elsewhere, such as Directory.Build.props.
type dotnetSDK struct {
	*build
	env map[string]string
}

// ask runs dotnet and returns what it prints, at most 1 MiB.
func (s dotnetSDK) ask(ctx context.Context, args ...string) (printed string, err error) {
	var out bytes.Buffer
	err = s.runTo(ctx, say.NewBounded(&out, 1<<20, 1), "dotnet "+args[0], s.env,
		append([]string{"dotnet"}, args...)...)
	return out.String(), err
}

// explain shows what dotnet printed before it failed, and returns the error.
func (s dotnetSDK) explain(printed string, err error) error {
	for line := range strings.Lines(printed) {
		if line = strings.TrimSpace(line); line != "" {
			say.Detail(s.job.Out, "%s", say.Plain(line, 200))
		}
	}
	return err
}

var (
	askedSDK     = regexp.MustCompile(`(?m)^Requested SDK version: (\S+)`)
	installedSDK = regexp.MustCompile(`(?m)^(\S+) \[.*\]\s*$`)
)

// check fails if global.json asks for an SDK that the server lacks. It asks dotnet itself: the
// rules have eight forms (https://learn.microsoft.com/dotnet/core/tools/global-json).
func (s dotnetSDK) check(ctx context.Context) error {
	if s.commitHas("global.json") == "" {
		return nil
	}
	printed, err := s.ask(ctx, "--version")
	if err == nil {
		return nil
	}
	asked := askedSDK.FindStringSubmatch(printed)
	if asked == nil {
		return s.explain(printed, err)
	}
	var installed []string
	for _, found := range installedSDK.FindAllStringSubmatch(printed, -1) {
		installed = append(installed, found[1])
	}
	return lacksDotnet("global.json", "the .NET SDK "+asked[1], installed, installDotnet,
		"global.json")
}

// lacksDotnet is the error for a version that the server has not.
func lacksDotnet(source, asked string, has []string, install, change string) error {
	if len(has) == 0 {
		has = []string{"none"}
	}
	return fmt.Errorf("%s asks for %s, but this server has %s: install %s in that version, or "+
		"change %s", source, asked, strings.Join(has, ", "), install, change)
}

// restoreTools downloads the tools that the repository lists, such as dotnet-ef. Processes find
// them in the cache.
func (s dotnetSDK) restoreTools(ctx context.Context) error {
	if s.commitHas(".config/dotnet-tools.json", "dotnet-tools.json") == "" {
		return nil
	}
	for _, name := range []string{"DOTNET_CLI_HOME", "NUGET_PACKAGES"} {
		s.setEnv(name, s.env[name])
	}
	return s.run(ctx, "dotnet tool restore", s.env, "dotnet", "tool", "restore")
}

// projects returns the projects of a target in the tree: those that a solution lists, or the target
// itself.
func (s dotnetSDK) projects(ctx context.Context, target string) ([]string, error) {
	switch path.Ext(target) {
	case ".sln", ".slnx", ".slnf":
	default:
		return []string{target}, nil
	}
	printed, err := s.ask(ctx, "sln", target, "list")
	if err != nil {
		return nil, s.explain(printed, err)
	}
	_, lines, _ := strings.Cut(printed, "\n---") // after the heading and what underlines it
	_, lines, _ = strings.Cut(lines, "\n")
	var projects []string
	for line := range strings.Lines(lines) {
		line = strings.ReplaceAll(strings.TrimSpace(line), `\`, "/")
		if project := path.Join(path.Dir(target), line); filepath.IsLocal(project) {
			projects = append(projects, project)
		}
	}
	if len(projects) == 0 {
		return nil, fmt.Errorf("%s lists no project; add one: dotnet sln %s add PROJECT", target,
			target)
	}
	return projects, nil
}

// publishDir is where a project is published to, below its own folder, as on Heroku.
const publishDir = "bin/publish"

// publishedTo returns the folder in the tree that a project is published to.
func publishedTo(project string) string { return path.Join(path.Dir(project), publishDir) }

// publish publishes the target, each project into its own folder.
func (s dotnetSDK) publish(ctx context.Context, target string, projects []string) error {
	argv := []string{"dotnet", "publish", target, "-c", "Release"}
	if path.Ext(target) == ".cs" { // it has no folder of its own that a property could name
		argv = append(argv, "--output", publishedTo(target))
	} else {
		argv = append(argv, "-p:PublishDir="+publishDir+"/")
	}
	argv = append(argv, "--nologo")
	locked := false
	for _, project := range projects {
		// what the commit has there was not published here
		if err := s.tree.RemoveAll(publishedTo(project)); err != nil {
			return err
		}
		lock := path.Join(path.Dir(project), "packages.lock.json")
		locked = locked || tree.IsFile(s.tree, lock)
	}
	if locked {
		argv = append(argv, "-p:RestoreLockedMode=true")
	}
	return s.run(ctx, "dotnet publish "+target, s.env, argv...)
}

// projectProperties are properties of a project, as MSBuild evaluates them.
type projectProperties struct {
	OutputType                            string // Exe, Library
	AssemblyName                          string // what the program is called
	IsTestProject                         string // the others are "true" or empty
	UsingMicrosoftNETSdkWeb               string
	UsingMicrosoftNETSdkBlazorWebAssembly string
}

// properties asks MSBuild about a project. It takes half a second.
func (s dotnetSDK) properties(ctx context.Context, project string) (projectProperties, error) {
	var asked struct{ Properties projectProperties }
	printed, err := s.ask(ctx, "msbuild", project, "-getProperty:OutputType,AssemblyName,"+
		"IsTestProject,UsingMicrosoftNETSdkWeb,UsingMicrosoftNETSdkBlazorWebAssembly")
	if err == nil {
		// there may be warnings before and after it
		start := max(0, strings.Index(printed, "{"))
		err = json.NewDecoder(strings.NewReader(printed[start:])).Decode(&asked)
	}
	if err != nil {
		return asked.Properties, s.explain(printed, fmt.Errorf("%s: %w", project, err))
	}
	return asked.Properties, nil
}
