package builder

import (
	"strings"

	"github.com/Masterminds/semver/v3"
	"golang.org/x/mod/modfile"
)

// goRequirements returns the Go versions that a go.mod requires
// (https://go.dev/ref/mod#go-mod-file-go): at least that of its go line. Its toolchain line is only
// a suggestion. If go.mod cannot be parsed, go itself will report that.
func goRequirements(content []byte) []requirement {
	file, err := modfile.Parse("go.mod", content, nil)
	if err != nil { // syntax of a Go newer than this library
		file, err = modfile.ParseLax("go.mod", content, nil)
	}
	if err != nil {
		return nil
	}
	var requires []requirement
	add := func(source, version, suffix string, required bool) {
		least, err := parseVersion(version)
		if err != nil {
			return
		}
		requires = append(requires, requirement{
			source: source, text: least.Original() + suffix,
			fits: func(v *semver.Version) (fits, near bool) {
				older := v.LessThan(least)
				return !required || !older, older
			},
		})
	}
	if file.Go != nil {
		add("go.mod", file.Go.Version, " or newer", true)
	}
	if file.Toolchain != nil {
		add("toolchain in go.mod", strings.TrimPrefix(file.Toolchain.Name, "go"), "", false)
	}
	return requires
}
