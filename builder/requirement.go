package builder

import (
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/Masterminds/semver/v3"

	"paas/builder/tree"
)

// requirement is a version of a tool that a repository asks for.
type requirement struct {
	source string // where it stands: ".node-version", "engines.node in package.json"
	text   string // as written there

	// fits reports whether a version meets the requirement, and whether it does so only nearly: by
	// a newer patch, or another difference that the language promises to be harmless.
	fits func(version *semver.Version) (fits, near bool)

	only    *semver.Version // the only one that fits exactly, if it is known
	prefers uint64          // the major to fetch if several fit; 0: any
}

// meets reports whether a version meets the requirement exactly.
func (r requirement) meets(v *semver.Version) bool {
	fits, near := r.fits(v)
	return fits && !near
}

// atLeast reads a version written as plain numbers: "22", "3.11" or "20.11.0". A version fits if it
// is not older and shares the first digits numbers: 1 for Node, whose minor versions only add, 2
// for Python and Ruby.
func atLeast(source, text string, digits int) (requirement, error) {
	numbers := plainVersion.FindStringSubmatch(text)
	if numbers == nil {
		return requirement{}, fmt.Errorf("%s: %.40q is not a version; write numbers such as 22 "+
			"or 22.1.0", source, text)
	}
	least, err := semver.NewVersion(numbers[1])
	if err != nil {
		return requirement{}, fmt.Errorf("%s: %.40q: %w", source, text, err)
	}
	parts := 1 + strings.Count(numbers[1], ".") // numbers written
	r := requirement{source: source, text: text}
	if parts == 3 {
		r.only = least
	}
	r.fits = func(v *semver.Version) (bool, bool) {
		wanted, has := numbersOf(least), numbersOf(v)
		shares := func(n int) bool { return slices.Equal(wanted[:n], has[:n]) }
		fits := shares(min(parts, digits)) && !v.LessThan(least)
		return fits, fits && !shares(parts)
	}
	return r, nil
}

// versionFile reads a file that contains only a version, as version managers do, such as
// .ruby-version. before is what may precede the number. If there is no such file, there is no
// requirement.
func versionFile(root *os.Root, name, before string, digits int) ([]requirement, error) {
	content, err := tree.ReadIf(root, name, 4<<10)
	if content == nil || err != nil {
		return nil, err
	}
	r, err := atLeast(name, strings.TrimPrefix(firstWord(content), before), digits)
	return []requirement{r}, err
}

// inRange reads a range of semantic versions, as in npm.
func inRange(source, text string) (requirement, error) {
	limits, err := semver.NewConstraint(text)
	if err != nil {
		return requirement{}, fmt.Errorf("%s: %.40q is not a range of versions; write one such "+
			"as >=20 or ^22.1.0", source, text)
	}
	return requirement{
		source: source, text: text,
		fits: func(v *semver.Version) (bool, bool) { return limits.Check(v), false },
	}, nil
}

var plainVersion = regexp.MustCompile(`^[vV]?(\d{1,9}(?:\.\d{1,9}){0,2})$`)

func numbersOf(v *semver.Version) []uint64 { return []uint64{v.Major(), v.Minor(), v.Patch()} }

var firstVersion = regexp.MustCompile(`\d+\.\d+(\.\d+)?`) // of 1.2.3.4 the first three

// parseVersion finds the version in the output of a tool: "v20.20.2", "Python 3.11.7", "go version
// go1.26.8 linux/amd64".
func parseVersion(output string) (*semver.Version, error) {
	v, err := semver.NewVersion(firstVersion.FindString(output))
	if err != nil {
		return nil, errors.New("no version in its output")
	}
	return v, nil
}
