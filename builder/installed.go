package builder

import (
	"context"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"paas/builder/cmdline"
	"paas/say"
)

// useOther looks for an installation of a tool that meets its requirements; with nearly, one that
// meets them nearly will do if none does exactly. The build then uses it, see [build.program].
func (b *build) useOther(ctx context.Context, t tool, nearly bool) (found bool) {
	var best, bestVersion string
	for _, path := range t.others(ctx, b) {
		printed, err := b.toolVersion(ctx, cmdline.With(b.env, t.env), path, t.versionArgs...)
		if err != nil { // such as a version manager's script for a version that is not selected
			continue
		}
		allNear, allExact := true, true
		for _, r := range t.requires {
			note, err := t.check(r, printed)
			allNear, allExact = allNear && err == nil, allExact && err == nil && note == ""
		}
		if allExact || allNear && nearly && best == "" {
			best, bestVersion = path, printed
		}
		if allExact {
			break
		}
	}
	if best == "" {
		return false
	}
	if b.programs == nil {
		b.programs = map[string]string{}
	}
	b.programs[t.name] = best
	b.toolchains()
	say.Detail(b.job.Out, "using %s (%s): %s", best, bestVersion, b.reason(ctx, t))
	return true
}

// program returns the program to run for a tool: its path, or its name if the first one on PATH
// is used.
func (b *build) program(name string) string {
	if path := b.programs[name]; path != "" {
		return path
	}
	return name
}

// managed returns the programs of that name in the versions that a version manager has installed,
// if PATH has its folder of scripts, as pyenv, rbenv, asdf and mise make it; and those in more,
// patterns of paths. The newest come first.
func (b *build) managed(language, name string, more ...string) (paths []string) {
	for _, dir := range filepath.SplitList(b.env["PATH"]) {
		if filepath.Base(dir) != "shims" {
			continue
		}
		top := filepath.Dir(dir)
		more = append(more, filepath.Join(top, "versions/*/bin", name),
			filepath.Join(top, "installs", language, "*/bin", name))
	}
	for _, pattern := range more {
		found, _ := filepath.Glob(pattern) // what is no pattern finds nothing
		paths = append(paths, found...)
	}
	slices.SortStableFunc(paths, func(x, y string) int { return compareNumbers(y, x) })
	return paths
}

// onPath returns the programs in PATH whose names match, and the newest first.
func (b *build) onPath(names *regexp.Regexp) (paths []string) {
	for _, dir := range filepath.SplitList(b.env["PATH"]) {
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			if names.MatchString(e.Name()) {
				paths = append(paths, filepath.Join(dir, e.Name()))
			}
		}
	}
	slices.SortStableFunc(paths, func(x, y string) int {
		return compareNumbers(filepath.Base(y), filepath.Base(x))
	})
	return paths
}

var number = regexp.MustCompile(`\d+`)

// compareNumbers compares texts by the numbers in them: python3.9 comes before python3.12.
func compareNumbers(x, y string) int {
	pad := func(digits string) string { return strings.Repeat("0", max(0, 12-len(digits))) + digits }
	return strings.Compare(number.ReplaceAllStringFunc(x, pad), number.ReplaceAllStringFunc(y, pad))
}
