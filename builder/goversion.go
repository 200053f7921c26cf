package builder

import (
	"strings"

	"github.com/Masterminds/semver/v3"
	"golang.org/x/mod/modfile"
)

// goWishes are the versions of Go that a go.mod asks for (https://go.dev/ref/mod#go-mod-file-go): at least
// that of its go line; its toolchain line is but a suggestion. What cannot be read is go's to explain.
func goWishes(content []byte) []wish {
	file, err := modfile.Parse("go.mod", content, nil)
	if err != nil { // lines of a Go that is newer than this library
		file, err = modfile.ParseLax("go.mod", content, nil)
	}
	if err != nil {
		return nil
	}
	var wishes []wish
	if file.Go != nil {
		if least, err := parseVersion(file.Go.Version); err == nil {
			wishes = append(wishes, wish{by: "go.mod", asked: least.Original() + " or newer",
				fits: func(v *semver.Version) (bool, bool) { return !v.LessThan(least), false }})
		}
	}
	if file.Toolchain != nil {
		if least, err := parseVersion(strings.TrimPrefix(file.Toolchain.Name, "go")); err == nil {
			wishes = append(wishes, wish{by: "toolchain in go.mod", asked: least.Original(),
				fits: func(v *semver.Version) (bool, bool) { return true, v.LessThan(least) }})
		}
	}
	return wishes
}
