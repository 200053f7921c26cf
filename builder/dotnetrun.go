package builder

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"

	"paas/builder/cmdline"
	"paas/builder/tree"
	"paas/say"
	"paas/volume"
)

// dotnetProgram is a published project that can run.
type dotnetProgram struct {
	project string // its file
	folder  string // that it was published to
	name    string
	web     bool
	site    bool // Blazor WebAssembly: it runs in browsers
}

// programs returns the projects that can run. A library or a test leaves no program; or MSBuild
// knows that it is one.
func (s dotnetSDK) programs(ctx context.Context, projects []string) ([]dotnetProgram, error) {
	var programs []dotnetProgram
	for _, project := range projects {
		p := dotnetProgram{project: project, folder: publishedTo(project)}
		if path.Ext(project) == ".cs" { // MSBuild knows it under no name
			content, err := tree.Read(s.tree, project, maxSource)
			if err != nil {
				return nil, err
			}
			p.name, p.web = strings.TrimSuffix(path.Base(project), ".cs"), webFile.Match(content)
			programs = append(programs, p)
			continue
		}
		if !s.leftProgram(p.folder) {
			continue
		}
		about, err := s.properties(ctx, project)
		if err != nil {
			return nil, err
		}
		if !strings.EqualFold(about.OutputType, "Exe") || about.IsTestProject == "true" {
			continue
		}
		p.name = about.AssemblyName
		p.web = about.UsingMicrosoftNETSdkWeb == "true"
		p.site = about.UsingMicrosoftNETSdkBlazorWebAssembly == "true"
		programs = append(programs, p)
	}
	return programs, nil
}

// leftProgram reports whether there may be a program in a published folder. It saves asking about
// libraries.
func (s dotnetSDK) leftProgram(folder string) bool {
	entries, err := fs.ReadDir(s.tree.FS(), folder)
	has := func(suffix string) bool {
		return slices.ContainsFunc(entries,
			func(e fs.DirEntry) bool { return strings.HasSuffix(e.Name(), suffix) })
	}
	return err == nil && (has(runtimeConfig) || !has(".dll"))
}

// start plans the processes of an app without a Procfile: web, a worker for each console app, or a
// site. It returns the runtimeconfig.json files of those that need a runtime.
func (s dotnetSDK) start(
	ctx context.Context, target string, projects []string,
) (configs []string, err error) {
	programs, err := s.programs(ctx, projects)
	if err != nil {
		return nil, err
	}
	if len(programs) == 0 {
		return nil, fmt.Errorf("%s has no program: set OutputType to Exe in the project that is "+
			"the app", target)
	}
	delete(s.plan.processes, "web")
	processes, err := s.processes(programs)
	if err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(processes)) {
		p := processes[name]
		command, config, err := s.command(p)
		if err != nil {
			return nil, err
		}
		if config != "" {
			configs = append(configs, config)
		}
		if name == "web" {
			command = "env ASPNETCORE_URLS=http://127.0.0.1:$PORT " + command
		} else {
			say.Detail(s.job.Out, "%s is a console app: it is the process type %s, without a port",
				p.project, name)
		}
		s.plan.processes[name] = p.inFolder(command)
	}
	return configs, nil
}

// processes returns the program of each process type. If no program answers requests, a Blazor
// WebAssembly app does, as a site.
func (s dotnetSDK) processes(programs []dotnetProgram) (map[string]dotnetProgram, error) {
	var web, sites, console []dotnetProgram
	for _, p := range programs {
		switch {
		case p.site:
			sites = append(sites, p)
		case p.web:
			web = append(web, p)
		default:
			console = append(console, p)
		}
	}
	processes := map[string]dotnetProgram{}
	switch {
	case len(web) > 1:
		line := web[0].inFolder(cmdline.Quote("./"+web[0].name) + " --urls http://*:$PORT")
		return nil, s.choose(web, noWebProcess(several("web apps", web), line))
	case len(web) == 1: // it serves the site, if there is one
		processes["web"] = web[0]
	case len(sites) > 1:
		return nil, s.choose(sites, errors.New(several("Blazor WebAssembly apps", sites)))
	case len(sites) == 1:
		s.plan.kind, s.plan.static = "static", sites[0].folder+"/wwwroot"
		say.Detail(s.job.Out, "%s runs in browsers: it is a site in %s", sites[0].project,
			s.plan.static)
		if !tree.IsFile(s.tree, s.plan.static+"/404.html") {
			err := s.tree.Symlink("index.html", s.plan.static+"/200.html") // it knows its addresses
			if err != nil && !errors.Is(err, fs.ErrExist) {
				return nil, err
			}
		}
	}
	for _, p := range console {
		name := "worker"
		if len(console) > 1 { // no such name is one with a meaning of its own, such as release
			name += "-" + notInType.ReplaceAllString(p.name, "-")
		}
		if other, taken := processes[name]; taken {
			return nil, fmt.Errorf("%s and %s are both called %s: set another AssemblyName",
				other.project, p.project, p.name)
		}
		processes[name] = p
	}
	return processes, nil
}

// notInType matches what the name of a process type cannot contain.
var notInType = regexp.MustCompile(`[^A-Za-z0-9_-]`)

// choose adds to an error what chooses one of several programs that could answer requests.
func (s dotnetSDK) choose(programs []dotnetProgram, err error) error {
	return &volume.Problem{Err: err, Remedy: volume.Remedy{
		Do: volume.SetConfigVar, App: s.job.App, With: "PROJECT_FILE=" + programs[0].project,
	}}
}

// several says that there are several programs, and which.
func several(what string, programs []dotnetProgram) string {
	var files []string
	for _, p := range programs {
		files = append(files, p.project)
	}
	return fmt.Sprintf("%d %s: %s; choose one", len(files), what, strings.Join(files, ", "))
}

// inFolder returns the command line of a program in its folder, where ASP.NET looks for its
// settings and wwwroot. exec replaces the shell.
func (p dotnetProgram) inFolder(command string) string {
	return "cd " + cmdline.Quote(p.folder) + " && exec " + command
}

// command returns what runs a program in its folder, and its runtimeconfig.json if it needs a
// runtime of this server.
func (s dotnetSDK) command(p dotnetProgram) (command, config string, err error) {
	config = p.folder + "/" + p.name + runtimeConfig
	options, err := readRuntimeOptions(s.tree, config)
	switch {
	case err != nil:
		return "", "", err
	case len(options.Frameworks) > 0 && tree.IsFile(s.tree, p.folder+"/"+p.name+".dll"):
		return "dotnet " + cmdline.Quote(p.name+".dll"), config, nil
	case isProgram(s.tree, p.folder+"/"+p.name): // it contains its runtime
		return cmdline.Quote("./" + p.name), "", nil
	}
	return "", "", noWebProcess(fmt.Sprintf("dotnet publish left no program %s in %s", p.name,
		p.folder), p.inFolder("./PROGRAM --urls http://*:$PORT"))
}
