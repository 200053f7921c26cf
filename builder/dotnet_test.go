package builder

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/Masterminds/semver/v3"

	"paas/rig"
	"paas/volume"
)

// standInDotnet puts testdata/dotnet, which does what was recorded with the real SDK, in front of
// PATH.
func standInDotnet(t *testing.T) {
	t.Helper()
	folder, err := filepath.Abs("../testdata/dotnet")
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", folder+":"+os.Getenv("PATH"))
}

const (
	webProject = `<Project Sdk="Microsoft.NET.Sdk.Web"></Project>`
	console    = `<Project Sdk="Microsoft.NET.Sdk"><PropertyGroup>
		<OutputType>Exe</OutputType>
	</PropertyGroup></Project>`
	library  = `<Project Sdk="Microsoft.NET.Sdk"></Project>`
	testsOfX = `<Project Sdk="Microsoft.NET.Sdk"><PropertyGroup>
		<OutputType>Exe</OutputType>
		<IsTestProject>true</IsTestProject>
	</PropertyGroup></Project>`
	blazor = `<Project Sdk="Microsoft.NET.Sdk.BlazorWebAssembly"></Project>`

	// what a program prints about where it runs
	prints = `echo "$(basename "$0") with $(cat appsettings.json) on $ASPNETCORE_URLS"` + "\n"
)

// solution returns an App.slnx of projects.
func solution(projects ...string) string {
	lines := "<Solution>\n"
	for _, project := range projects {
		lines += `  <Project Path="` + project + `" />` + "\n"
	}
	return lines + "</Solution>\n"
}

// with returns a copy of a project with properties: name, value, name, value.
func with(project string, properties ...string) string {
	group := "<PropertyGroup>\n"
	for i := 0; i < len(properties); i += 2 {
		group += "<" + properties[i] + ">" + properties[i+1] + "</" + properties[i] + ">\n"
	}
	return strings.Replace(project, "</Project>", group+"</PropertyGroup></Project>", 1)
}

// wantProcesses fails unless a build has these processes and no more.
func wantProcesses(t *testing.T, built volume.Built, want map[string]string) {
	t.Helper()
	if !maps.Equal(built.Processes, want) {
		t.Errorf("processes %q\nwant %q", built.Processes, want)
	}
}

const onPort = "exec env ASPNETCORE_URLS=http://127.0.0.1:$PORT "

// A published app runs in its published folder, where ASP.NET finds its settings and wwwroot.
func TestDotnetRunsWhereItIsPublished(t *testing.T) {
	standInDotnet(t)
	b := newBuilder(t)
	for name, test := range map[string]struct {
		files  map[string]string
		folder string
		line   string
		prints string
	}{
		"project at the top": {
			map[string]string{
				"Shop.csproj": webProject, "Program.cs": prints, "appsettings.json": "settings",
				"lib/Lib.csproj": library,
			},
			"bin/publish", "dotnet Shop.dll", "Shop.dll",
		},
		"solution": {
			map[string]string{
				"App.slnx": solution("src/Front End/Web.csproj", "src/Lib/Lib.csproj"),

				"src/Front End/Web.csproj":       webProject,
				"src/Front End/Program.cs":       prints,
				"src/Front End/appsettings.json": "settings",
				"src/Lib/Lib.csproj":             library,
			},
			"src/Front End/bin/publish", "dotnet Web.dll", "Web.dll",
		},
		"solution of the older form, beside its project": {
			map[string]string{
				"Shop.sln": `Project("{9A19103F-16F7-4668-BE54-9A1E7A4F7556}") = "Shop", ` +
					`"Shop.csproj", "{AD2BA7D0-E8D3-4B3C-A0A9-0B0D4B7A9F8D}"` + "\nEndProject\n",
				"Shop.csproj": webProject, "Program.cs": prints, "appsettings.json": "settings",
			},
			"bin/publish", "dotnet Shop.dll", "Shop.dll",
		},
		"deep, in another language, quoted otherwise": {
			map[string]string{
				"App.slnx":                 solution("a/b/c/Web.vbproj"),
				"a/b/c/Web.vbproj":         strings.ReplaceAll(webProject, `"`, "'"),
				"a/b/c/Program.vb":         prints,
				"a/b/c/appsettings.json":   "settings",
				"a/not/listed/Else.csproj": webProject,
			},
			"a/b/c/bin/publish", "dotnet Web.dll", "Web.dll",
		},
		"named otherwise, with another program beside it": {
			map[string]string{
				"App.slnx": solution("Web/Web.csproj", "Tools/Tools.csproj"),
				"Web/Web.csproj": strings.Replace(webProject, "</Project>",
					`<ProjectReference Include="../Tools/Tools.csproj" /></Project>`, 1),
				"Web/Directory.Build.props": "<AssemblyName>shop</AssemblyName>",
				"Web/Program.cs":            prints,
				"Web/appsettings.json":      "settings",
				"Tools/Tools.csproj":        console,
			},
			"Web/bin/publish", "dotnet shop.dll", "shop.dll",
		},
		"compiled ahead of time": {
			map[string]string{
				"Shop.csproj": with(webProject, "PublishAot", "true"), "Program.cs": prints,
				"appsettings.json": "settings",
			},
			"bin/publish", "./Shop", "Shop",
		},
		"in one file": {
			map[string]string{
				"app.cs":   "#!/usr/bin/env dotnet\n#:sdk Microsoft.NET.Sdk.Web\n" + "echo one file\n",
				"other.cs": "class Other;",
			},
			"bin/publish", "./app", "",
		},
	} {
		built, out, dir := mustBuild(t, b, t.TempDir(), test.files)
		folder := test.folder
		if strings.Contains(folder, " ") {
			folder = "'" + folder + "'"
		}
		if got, want := built.Processes["web"], "cd "+folder+" && "+onPort+test.line; got != want {
			t.Errorf("%s: runs %q\nwant %q; log:\n%s", name, got, want, out)
		}
		want := test.prints + " with settings on http://127.0.0.1:4000\n"
		if test.prints == "" {
			want = "one file\n"
		}
		line := strings.ReplaceAll(built.Processes["web"], "$PORT", "4000")
		if got := printed(t, b, dir, built, line); got != want {
			t.Errorf("%s: printed %q, want %q", name, got, want)
		}
		if built.Kind != "dotnet" {
			t.Errorf("%s: kind %s", name, built.Kind)
		}
	}
}

// Without a Procfile, a solution's web and console projects are its processes; libraries, tests and
// projects that it does not list are none.
func TestDotnetProcesses(t *testing.T) {
	standInDotnet(t)
	b := newBuilder(t)
	files := map[string]string{
		"App.slnx": solution("Web/Web.csproj", "Jobs/Mailer.csproj", "Lib/Lib.csproj",
			"Tests/Tests.csproj"),
		"Web/Web.csproj": webProject, "Jobs/Mailer.csproj": console, "Lib/Lib.csproj": library,
		"Tests/Tests.csproj": testsOfX, "Tool/Tool.csproj": console,
	}
	const web, mailer = "cd Web/bin/publish && " + onPort + "dotnet Web.dll",
		"cd Jobs/bin/publish && exec dotnet Mailer.dll"
	built, out, _ := mustBuild(t, b, t.TempDir(), files)
	wantProcesses(t, built, map[string]string{"web": web, "worker": mailer})
	rig.WantIn(t, "log", out,
		"       Jobs/Mailer.csproj is a console app: it is the process type worker, without a port\n")

	files["App.slnx"] = solution("Web/Web.csproj", "Jobs/Mailer.csproj", "Tool/Tool.csproj")
	files["Tool/Tool.csproj"] = with(console, "AssemblyName", "My.Tool")
	built, _, _ = mustBuild(t, b, t.TempDir(), files)
	wantProcesses(t, built, map[string]string{
		"web": web, "worker-Mailer": mailer,
		"worker-My-Tool": "cd Tool/bin/publish && exec dotnet My.Tool.dll",
	})

	files["Tool/Tool.csproj"] = with(console, "AssemblyName", "Mailer")
	_, _, _, err := buildFiles(t, b, t.TempDir(), files)
	rig.WantIn(t, "two of one name", rig.Message(err),
		"Jobs/Mailer.csproj and Tool/Tool.csproj are both called Mailer: set another AssemblyName")

	built, _, _ = mustBuild(t, b, t.TempDir(), map[string]string{"Tool.csproj": console})
	wantProcesses(t, built, map[string]string{"worker": "cd bin/publish && exec dotnet Tool.dll"})
}

// With a Procfile, all projects are published to where Heroku's lines look for them.
func TestDotnetProcfile(t *testing.T) {
	standInDotnet(t)
	b := newBuilder(t)
	built, out, dir := mustBuild(t, b, t.TempDir(), map[string]string{
		"Procfile": "web: cd Frontend/bin/publish/; ./Frontend --urls http://*:$PORT\n" +
			"worker: cd Worker/bin/publish/; ./Worker\n",
		"App.sln": `Project("{9A19103F}") = "Frontend", "Frontend\Frontend.csproj", "{1}"` + "\n" +
			`Project("{9A19103F}") = "Worker", "Worker\Worker.csproj", "{2}"` + "\n",
		"Frontend/Frontend.csproj": webProject, "Worker/Worker.csproj": console,
		"Frontend/Program.cs":        `echo "web $*: $(cat wwwroot/Frontend.styles.css)"`,
		"Worker/Program.cs":          "echo works",
		"Worker/bin/publish/old.dll": "of the commit",
		"packages.lock.json":         "{}",
		"Worker/packages.lock.json":  "{}",
	})
	rig.WantIn(t, "log", out, "       dotnet publish App.sln\n",
		"dotnet publish App.sln -c Release -p:PublishDir=bin/publish/ --nologo "+
			"-p:RestoreLockedMode=true\n")
	for line, want := range map[string]string{
		strings.ReplaceAll(built.Processes["web"], "$PORT", "4000"): "web --urls http://*:4000: scoped\n",

		built.Processes["worker"]: "works\n",
	} {
		if got := printed(t, b, dir, built, line); got != want {
			t.Errorf("%s printed %q, want %q", line, got, want)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "Worker/bin/publish/old.dll")); err == nil {
		t.Error("a file of the commit is in the published folder")
	}
}

// A Blazor WebAssembly app without a server is a site. With one, the server serves it.
func TestDotnetBlazor(t *testing.T) {
	standInDotnet(t)
	b := newBuilder(t)
	files := map[string]string{"Client.csproj": blazor, "wwwroot/index.html": "home"}
	built, out, dir := mustBuild(t, b, t.TempDir(), files)
	if built.Kind != "static" || built.Static != "bin/publish/wwwroot" {
		t.Errorf("built %+v", built)
	}
	wantProcesses(t, built, nil)
	rig.WantIn(t, "log", out, "Client.csproj runs in browsers: it is a site in bin/publish/wwwroot\n")
	if !isFolder(filepath.Join(dir, built.Static, "_framework")) {
		t.Error("what was published is not in the site")
	}
	if page, err := os.ReadFile(filepath.Join(dir, built.Static, "200.html")); string(page) != "home" {
		t.Errorf("its addresses lead to %q, %v", page, err)
	}

	built, _, _ = mustBuild(t, b, t.TempDir(), map[string]string{
		"App.slnx":             solution("Server/Server.csproj", "Client/Client.csproj"),
		"Server/Server.csproj": webProject, "Client/Client.csproj": blazor,
	})
	wantProcesses(t, built, map[string]string{
		"web": "cd Server/bin/publish && " + onPort + "dotnet Server.dll",
	})
	if built.Static != "" {
		t.Errorf("built %+v", built)
	}
}

// What to publish is chosen by config vars, as on Heroku; otherwise there must be one choice.
func TestDotnetTarget(t *testing.T) {
	standInDotnet(t)
	b := newBuilder(t)
	files := map[string]string{
		"A.slnx": solution("A/A.csproj"), "B.slnx": solution("B/B.csproj", "A/A.csproj"),
		"some.slnf": `{"solution": {"path": "B.slnx", "projects": ["B/B.csproj"]}}`,

		"A/A.csproj": webProject, "B/B.csproj": webProject, "C/C.csproj": webProject,
	}
	build := func(config map[string]string) (volume.Built, error) {
		return b.Build(t.Context(), Job{
			App: "blog", Tree: rig.Tree(t, files), Cache: t.TempDir(), Config: config,
			Out: &rig.Screen{},
		})
	}
	for name, want := range map[string]string{
		"SOLUTION_FILE=A.slnx":      "A",
		"SOLUTION_FILE=some.slnf":   "B",
		"PROJECT_FILE=C/C.csproj":   "C",
		"PROJECT_FILE=./C/C.csproj": "C",
	} {
		key, value, _ := strings.Cut(name, "=")
		built, err := build(map[string]string{key: value})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		wantProcesses(t, built, map[string]string{
			"web": "cd " + want + "/bin/publish && " + onPort + "dotnet " + want + ".dll",
		})
	}
	files["jobs/mail.cs"] = "echo mails\n"
	built, err := build(map[string]string{"PROJECT_FILE": "jobs/mail.cs"})
	if err != nil {
		t.Fatal(err)
	}
	wantProcesses(t, built, map[string]string{"worker": "cd jobs/bin/publish && exec ./mail"})
	for name, want := range map[string]string{
		"PROJECT_FILE=../B.csproj": `PROJECT_FILE "../B.csproj" is not in the repository`,
		"SOLUTION_FILE=C.sln":      `SOLUTION_FILE "C.sln" is not in the repository`,
		"SOLUTION_FILE=B.slnx": "2 web apps: B/B.csproj, A/A.csproj; choose one; add a Procfile " +
			"with a line like `web: cd B/bin/publish && exec ./B --urls http://*:$PORT`",
		"OTHER=": "2 solutions: A.slnx, B.slnx; choose one",
	} {
		key, value, _ := strings.Cut(name, "=")
		_, err := build(map[string]string{key: value})
		if rig.Message(err) != want {
			t.Errorf("%s: %v\nwant %s", name, err, want)
		}
	}
	_, err = build(nil)
	want := volume.Remedy{Do: volume.SetConfigVar, App: "blog", With: "SOLUTION_FILE=A.slnx"}
	if got := volume.RemedyOf(err); got != want {
		t.Errorf("remedy %+v", got)
	}
	files = map[string]string{"A.csproj": webProject, "B.csproj": webProject}
	_, err = build(nil)
	rig.WantIn(t, "projects", rig.Message(err), "2 projects: A.csproj, B.csproj; choose one")
	files = map[string]string{"App.slnx": solution()}
	_, err = build(nil)
	rig.WantIn(t, "nothing", rig.Message(err),
		"App.slnx lists no project; add one: dotnet sln App.slnx add PROJECT")
	files = map[string]string{"Lib.csproj": library}
	_, err = build(nil)
	rig.WantIn(t, "library", rig.Message(err),
		"Lib.csproj has no program: set OutputType to Exe in the project that is the app")
}

// A runtime that the server lacks is replaced by a newer one, in one line, before the app starts.
func TestDotnetRuntime(t *testing.T) {
	standInDotnet(t)
	b := newBuilder(t)
	files := func(project string) map[string]string {
		return map[string]string{"Shop.csproj": project, "Program.cs": "echo $DOTNET_ROOT runs"}
	}
	build := func(
		files map[string]string, other Toolchains,
	) (built volume.Built, out, dir string, err error) {
		screen := &rig.Screen{}
		dir = rig.Tree(t, files)
		built, err = b.Build(t.Context(), Job{
			App: "blog", Tree: dir, Cache: t.TempDir(), Out: screen, Toolchains: other,
		})
		return built, screen.String(), dir, err
	}
	const ran = "/usr/share/dotnet runs\n"
	mustRun := func(
		what string, files map[string]string, other Toolchains,
	) (built volume.Built, out string) {
		t.Helper()
		built, out, dir, err := build(files, other)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if got := printed(t, b, dir, built, built.Processes["web"]); got != ran {
			t.Errorf("%s: printed %q", what, got)
		}
		return built, out
	}
	old := with(webProject, "TargetFramework", "net8.0")
	_, out := mustRun("older", files(old), noToolchains{})
	const note = "       Shop asks for .NET 8.0.0, which this server lacks: it runs on 10.0.12\n"
	if strings.Count(out, note) != 1 {
		t.Errorf("log:\n%s\nwant once %s", out, note)
	}
	withProcfile := files(old)
	withProcfile["Procfile"] = "web: cd bin/publish; ./Shop"
	_, out = mustRun("with a Procfile", withProcfile, noToolchains{})
	rig.WantIn(t, "with a Procfile", out, note)
	built, out := mustRun("the same", files(webProject), noToolchains{})
	if strings.Contains(out, "asks for") || built.Env["DOTNET_ROLL_FORWARD"] != "" {
		t.Errorf("the runtime is there; built %+v, log:\n%s", built, out)
	}
	mustRun("allowed by the app", files(with(old, "RollForward", "Major")), nil)

	const refused = ", but this server has 10.0.12: install the .NET runtime " +
		"(https://dotnet.microsoft.com/download) in that version, or change its TargetFramework"
	_, _, _, err := build(files(with(webProject, "TargetFramework", "net11.0")), noToolchains{})
	rig.WantIn(t, "newer", rig.Message(err), "Shop asks for .NET 11.0.0"+refused)
	_, _, _, err = build(files(old), nil)
	rig.WantIn(t, "only what the server has", rig.Message(err), "Shop asks for .NET 8.0.0"+refused)
}

// The runtime is the one that dotnet selects.
func TestNextRuntime(t *testing.T) {
	has := []string{"8.0.3", "8.0.20", "8.1.1", "10.0.2", "9.0.7", "9.0.8"}
	for _, test := range []struct{ asked, policy, want string }{
		{"8.0.0", "minor", "8.0.20"},
		{"8.0.21", "minor", "8.1.1"},
		{"8.0.21", "latestpatch", ""},
		{"8.0.3", "disable", "8.0.3"},
		{"8.0.4", "disable", ""},
		{"8.2.0", "minor", ""},
		{"8.2.0", "major", "9.0.8"},
		{"7.0.0", "minor", ""},
		{"11.0.0", "major", ""},
	} {
		got := ""
		if next := nextRuntime(versions(t, test.asked)[0], versions(t, has...),
			sharedNumbers[test.policy]); next != nil {
			got = next.Original()
		}
		if got != test.want {
			t.Errorf("%s, %s: %q, want %q", test.asked, test.policy, got, test.want)
		}
	}
}

func versions(t *testing.T, list ...string) (parsed []*semver.Version) {
	t.Helper()
	for _, text := range list {
		v, err := semver.NewVersion(text)
		if err != nil {
			t.Fatal(err)
		}
		parsed = append(parsed, v)
	}
	return parsed
}

// An SDK that global.json asks for in vain is named, without what dotnet says around it.
func TestDotnetGlobalJSON(t *testing.T) {
	standInDotnet(t)
	b := newBuilder(t)
	top := rig.Tree(t, map[string]string{
		"global.json":     `{"sdk": {"version": "8.0.100"}}`,
		"app/Shop.csproj": webProject,
		"app/global.json": `{"sdk": {"version": "8.0.100"}}`,
	})
	out := &rig.Screen{}
	job := Job{App: "blog", Tree: top + "/app", Top: top, Cache: t.TempDir(), Out: out}
	_, err := b.Build(t.Context(), job)
	const want = "global.json asks for the .NET SDK 8.0.100, but this server has 10.0.401: " +
		"install the .NET SDK (https://dotnet.microsoft.com/download; Debian has no package for " +
		"it) in that version, or change global.json"
	if rig.Message(err) != want {
		t.Errorf("%v\nwant %s", err, want)
	}
	if got := out.String(); got != "-----> Building (dotnet)\n" {
		t.Errorf("log:\n%s", got)
	}
	rig.Write(t, top, map[string]string{"app/global.json": `{"sdk": {"version": "10.0.100"}}`})
	if _, err := b.Build(t.Context(), job); err != nil {
		t.Errorf("an SDK that is there: %v", err)
	}
}

// Tools that the repository lists are there in the build and in processes, such as the release
// phase.
func TestDotnetTools(t *testing.T) {
	standInDotnet(t)
	b := newBuilder(t)
	for _, manifest := range []string{".config/dotnet-tools.json", "dotnet-tools.json"} {
		built, out, dir := mustBuild(t, b, t.TempDir(), map[string]string{
			"Shop.csproj": webProject, manifest: `{"tools": {"dotnet-ef": {"version": "10.0.0"}}}`,
			"Procfile": "web: cd bin/publish; ./Shop\nrelease: dotnet ef database update",
		})
		rig.WantIn(t, "log", out, "       dotnet tool restore\n")
		if got := printed(t, b, dir, built, built.Processes["release"]); got != "ef database\n" {
			t.Errorf("%s: printed %q", manifest, got)
		}
	}
}

// A build prints nothing that looks like an error.
func TestDotnetWorkloads(t *testing.T) {
	standInDotnet(t)
	files := map[string]string{"Shop.csproj": webProject}
	_, out, _ := mustBuild(t, newBuilder(t), t.TempDir(), files)
	if strings.Contains(out, "An issue was encountered") {
		t.Errorf("log:\n%s", out)
	}
}

// Only what is .NET at the top of the tree is recognised.
func TestIsDotnet(t *testing.T) {
	for name, test := range map[string]struct {
		files map[string]string
		is    bool
	}{
		"solution":              {map[string]string{"App.slnx": ""}, true},
		"project":               {map[string]string{"App.fsproj": ""}, true},
		"web app in one file":   {map[string]string{"app.cs": "#:sdk Microsoft.NET.Sdk.Web@10.0.0\r\n"}, true},
		"script in one file":    {map[string]string{"app.cs": "#:sdk Microsoft.NET.Sdk\n"}, false},
		"a file of a project":   {map[string]string{"app.cs": "class App;"}, false},
		"a project in a folder": {map[string]string{"src/App.csproj": ""}, false},
	} {
		if got := IsDotnet(rig.Tree(t, test.files)); got != test.is {
			t.Errorf("%s: %t", name, got)
		}
	}
}

func TestBuildDotnet(t *testing.T) {
	rig.Need(t, "dotnet")
	if err := exec.Command("dotnet", "--version").Run(); err != nil {
		t.Skipf("SKIP: dotnet without an SDK: %v", err)
	}
	b := newBuilder(t)
	built, out, dir := mustBuild(t, b, t.TempDir(), map[string]string{
		"Hello.csproj": `<Project Sdk="Microsoft.NET.Sdk"><PropertyGroup><OutputType>Exe</OutputType><TargetFramework>net8.0</TargetFramework>` +
			`<RollForward>Major</RollForward></PropertyGroup></Project>`,
		"Program.cs": `System.Console.WriteLine("compiled");`})
	if got := printed(t, b, dir, built, built.Processes["worker"]); got != "compiled\n" {
		t.Errorf("built %+v, printed %q; log:\n%s", built, got, out)
	}
}
