package builder

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"

	"paas/builder/tree"
	"paas/say"
)

// runtimeConfig is the suffix of a file beside a program that names the runtime it needs.
const runtimeConfig = ".runtimeconfig.json"

// runtimeOptions are the contents of a runtimeconfig.json.
type runtimeOptions struct {
	Frameworks  []framework // that it needs on the server; none if it contains its runtime
	Framework   framework   // in place of Frameworks, if there is only one
	RollForward string
}

// framework is a runtime: Microsoft.NETCore.App 8.0.0.
type framework struct{ Name, Version string }

func (f framework) String() string {
	switch f.Name {
	case "Microsoft.NETCore.App":
		return ".NET " + f.Version
	case "Microsoft.AspNetCore.App":
		return "ASP.NET Core " + f.Version
	}
	return f.Name + " " + f.Version
}

// readRuntimeOptions reads a runtimeconfig.json. A program that contains its runtime may have none.
func readRuntimeOptions(root *os.Root, file string) (runtimeOptions, error) {
	var config struct{ RuntimeOptions runtimeOptions }
	content, err := tree.ReadIf(root, file, 1<<20)
	if content == nil || err != nil {
		return config.RuntimeOptions, err
	}
	if err := json.Unmarshal(tree.Text(content), &config); err != nil {
		return config.RuntimeOptions, fmt.Errorf("%s: %w", file, err)
	}
	options := config.RuntimeOptions
	if options.Framework.Name != "" {
		options.Frameworks = append(options.Frameworks, options.Framework)
	}
	return options, nil
}

// configs returns the runtimeconfig.json files of all published projects.
func (s dotnetSDK) configs(projects []string) (files []string) {
	for _, project := range projects {
		entries, err := fs.ReadDir(s.tree.FS(), publishedTo(project))
		if err != nil { // nothing of it was published
			continue
		}
		for _, e := range entries {
			if strings.HasSuffix(e.Name(), runtimeConfig) {
				files = append(files, publishedTo(project)+"/"+e.Name())
			}
		}
	}
	return files
}

// installedRuntime matches a line of dotnet --list-runtimes.
var installedRuntime = regexp.MustCompile(`(?m)^(\S+) (\S+) \[(.*)\]\s*$`)

// checkRuntimes compares the runtimes that programs need with those of the server, where dotnet
// would only do so when they start. One that is missing is replaced by the next newer one.
func (s dotnetSDK) checkRuntimes(ctx context.Context, configs []string) error {
	printed, err := s.ask(ctx, "--list-runtimes")
	if err != nil {
		return s.explain(printed, err)
	}
	has := map[string][]*semver.Version{}
	for _, found := range installedRuntime.FindAllStringSubmatch(printed, -1) {
		version, err := semver.NewVersion(found[2])
		if err != nil {
			continue
		}
		has[found[1]] = append(has[found[1]], version)
		// a program that runs without dotnet looks for its runtime there
		s.setEnv("DOTNET_ROOT", path.Dir(path.Dir(found[3])))
	}
	said := map[string]bool{}
	for _, file := range configs {
		note, err := s.checkRuntime(file, has)
		if err != nil {
			return err
		}
		if note != "" && !said[note] {
			say.Detail(s.job.Out, "%s", note)
			s.setEnv("DOTNET_ROLL_FORWARD", "Major")
		}
		said[note] = true
	}
	return nil
}

// checkRuntime checks one program. note says that it has to run on a newer runtime.
func (s dotnetSDK) checkRuntime(
	file string, has map[string][]*semver.Version,
) (note string, err error) {
	options, err := readRuntimeOptions(s.tree, file)
	if err != nil {
		return "", err
	}
	program := strings.TrimSuffix(path.Base(file), runtimeConfig)
	set := s.job.Config["DOTNET_ROLL_FORWARD"]
	shares := sharedNumbers[strings.ToLower(cmp.Or(set, options.RollForward, "Minor"))]
	for _, f := range options.Frameworks {
		asked, err := semver.NewVersion(f.Version)
		if err != nil {
			return "", fmt.Errorf("%s: %s: %w", file, f, err)
		}
		if nextRuntime(asked, has[f.Name], shares) != nil {
			continue
		}
		next := nextRuntime(asked, has[f.Name], 0)
		if next != nil && set == "" && s.job.Toolchains != nil {
			return fmt.Sprintf("%s asks for %s, which this server lacks: it runs on %s", program,
				f, next.Original()), nil
		}
		var numbers []string
		for _, version := range has[f.Name] {
			numbers = append(numbers, version.Original())
		}
		return "", lacksDotnet(program, f.String(), numbers,
			"the .NET runtime (https://dotnet.microsoft.com/download)", "its TargetFramework")
	}
	return "", nil
}

// sharedNumbers is how many numbers of its version a runtime shares with the one asked for, by the
// policy of the program
// (https://learn.microsoft.com/dotnet/core/versions/selection#control-roll-forward-behavior).
var sharedNumbers = map[string]int{
	"disable": 3, "latestpatch": 2, "minor": 1, "latestminor": 1, "major": 0, "latestmajor": 0,
}

// nextRuntime returns the runtime that dotnet selects: of those that are not older and share the
// first numbers, the newest patch of the lowest; nil if there is none.
func nextRuntime(asked *semver.Version, has []*semver.Version, shares int) *semver.Version {
	var next *semver.Version
	for _, v := range has {
		wants, numbers := numbersOf(asked), numbersOf(v)
		if v.LessThan(asked) || !slices.Equal(wants[:shares], numbers[:shares]) {
			continue
		}
		if next == nil {
			next = v
			continue
		}
		switch slices.Compare(numbers[:2], numbersOf(next)[:2]) {
		case -1:
			next = v
		case 0:
			if v.GreaterThan(next) {
				next = v
			}
		}
	}
	return next
}
