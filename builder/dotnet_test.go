package builder

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"paas/rig"
)

// fakeDotnet replaces the .NET SDK if there is none: it checks its arguments and writes what the
// real one writes.
const fakeDotnet = `#!/bin/sh
set -e
case "$1" in
--version)
	if grep -q 99.0.100 global.json; then
		echo 'The command could not be loaded, possibly because:'
		echo 'Requested SDK version: 99.0.100'
		exit 145
	fi
	echo 9.0.100 ;;
publish)
	echo "$*; $DOTNET_CLI_TELEMETRY_OPTOUT $NUGET_PACKAGES"
	[ "$3 $4 $5 $6 $7" = '--configuration Release --output .paas/publish --nologo' ]
	name=$(basename "$2" .csproj)
	[ "$name" = Library ] || echo '{}' >".paas/publish/$name.runtimeconfig.json"
	echo "$name" >".paas/publish/$name.dll" ;;
*.dll)
	echo "$(cat "$1") on $ASPNETCORE_URLS" ;;
*)
	echo "unknown: $*"
	exit 1 ;;
esac
`

const webProject = `<Project Sdk="Microsoft.NET.Sdk.Web"></Project>`

func TestBuildDotnetFake(t *testing.T) {
	folder := rig.Tree(t, map[string]string{"bin/dotnet": fakeDotnet})
	t.Setenv("PATH", folder+"/bin:"+os.Getenv("PATH"))
	t.Setenv("PORT", "4000")
	b := newBuilder(t)
	cache := t.TempDir()
	for name, test := range map[string]struct {
		files map[string]string
		wants string
		runs  string
	}{
		"at the top": {
			map[string]string{
				"Shop.csproj":        webProject,
				"lib/Lib.csproj":     "",
				"packages.lock.json": "{}",
				"global.json":        "{}",
			},
			"publish Shop.csproj --configuration Release --output .paas/publish --nologo " +
				"-p:RestoreLockedMode=true; true " + cache + "/nuget\n",
			"Shop on",
		},
		"in solution": {
			map[string]string{
				"Shop.sln":                   "",
				"src/Web/Web.csproj":         webProject,
				"src/Library/Library.csproj": `<Project Sdk="Microsoft.NET.Sdk">`,
			},
			"dotnet publish src/Web/Web.csproj\n", "Web on",
		},
		"console": {
			map[string]string{
				"Shop.slnx":        "",
				"Tool/Tool.csproj": `<Project Sdk="Microsoft.NET.Sdk">`,
			},
			"dotnet publish Tool/Tool.csproj\n", "Tool on",
		},
	} {
		built, out, dir := mustBuild(t, b, cache, test.files)
		rig.WantIn(t, name, out, "-----> Building (dotnet)\n", test.wants)
		line := strings.ReplaceAll(built.Processes["web"], "$PORT", "4000")
		if got := printed(t, b, dir, built, line); built.Kind != "dotnet" ||
			got != test.runs+" http://127.0.0.1:4000\n" {
			t.Errorf("%s: built %+v, printed %q", name, built, got)
		}
	}
	for want, files := range map[string]map[string]string{
		"global.json asks for a .NET SDK that this server lacks: install the .NET SDK": {
			"Shop.csproj": webProject,
			"global.json": `{"sdk": {"version": "99.0.100"}}`,
		},
		"2 projects, 0 of them web apps; choose one":        {"A.csproj": "", "B.csproj": ""},
		"dotnet publish made no program for Library.csproj": {"Library.csproj": ""},
	} {
		_, out, _, err := buildFiles(t, b, cache, files)
		rig.WantIn(t, "error", rig.Message(err), want)
		if strings.Contains(want, "global.json") {
			rig.WantIn(t, "what dotnet says", out, "       Requested SDK version: 99.0.100\n")
		}
	}
	job := Job{
		App:   "blog",
		Tree:  rig.Tree(t, map[string]string{"A.csproj": "", "B.csproj": ""}),
		Cache: cache,
		Out:   &rig.Screen{},
	}
	job.Config = map[string]string{"PROJECT_FILE": "B.csproj"}
	if built, err := b.Build(t.Context(), job); err != nil ||
		!strings.HasSuffix(built.Processes["web"], "B.dll") {
		t.Errorf("built %+v, err = %v", built, err)
	}
	job.Config["PROJECT_FILE"] = "../B.csproj"
	_, err := b.Build(t.Context(), job)
	rig.WantIn(t, "a project outside", rig.Message(err), "is not in the repository")
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
	if got := printed(t, b, dir, built, built.Processes["web"]); got != "compiled\n" {
		t.Errorf("built %+v, printed %q; log:\n%s", built, got, out)
	}
}
