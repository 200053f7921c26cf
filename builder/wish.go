package builder

import (
	"errors"
	"fmt"
	"regexp"

	"github.com/Masterminds/semver/v3"
)

// wish is the version of a tool that a repository asks for.
type wish struct {
	by    string // who asks, as its owner knows it: ".node-version", "engines.node in package.json"
	asked string // in the owner's words

	// fits says whether version is what was asked for; near, whether it is but for a newer patch, or
	// whatever else the language promises to change nothing.
	fits func(version *semver.Version) (fits, near bool)
}

// atLeast is the wish for a version written as plain numbers, "22", "3.11" or "20.11.0". Versions agree
// that share the first digits numbers: 1 for Node, whose minor versions only add, 2 for Python and
// Ruby. Of those, one that is not older than what was asked will do, with a word about it.
func atLeast(by, asked string, digits int) (wish, error) {
	numbers := plainVersion.FindStringSubmatch(asked)
	if numbers == nil {
		return wish{}, fmt.Errorf("%s: %.40q is not a version; write numbers, like 22 or 22.1.0", by, asked)
	}
	least, err := semver.NewVersion(numbers[1])
	if err != nil {
		return wish{}, fmt.Errorf("%s: %.40q: %w", by, asked, err)
	}
	parts := 1 // how many were written
	for _, more := range numbers[2:] {
		if more != "" {
			parts++
		}
	}
	return wish{by: by, asked: asked, fits: func(v *semver.Version) (bool, bool) {
		wanted, has := numbersOf(least), numbersOf(v)
		for i := range min(parts, digits) {
			if wanted[i] != has[i] {
				return false, false
			}
		}
		if v.LessThan(least) {
			return false, false
		}
		for i := range parts {
			if wanted[i] != has[i] {
				return true, true
			}
		}
		return true, false
	}}, nil
}

// within is the wish for a version in a range of semver's, as npm and others write them.
func within(by, asked string) (wish, error) {
	limits, err := semver.NewConstraint(asked)
	if err != nil {
		return wish{}, fmt.Errorf("%s: %.40q is not a range of versions; write one like >=20 or ^22.1.0", by, asked)
	}
	return wish{by: by, asked: asked, fits: func(v *semver.Version) (bool, bool) { return limits.Check(v), false }}, nil
}

var plainVersion = regexp.MustCompile(`^[vV]?(\d{1,9}(\.\d{1,9})?(\.\d{1,9})?)$`)

func numbersOf(v *semver.Version) [3]uint64 { return [3]uint64{v.Major(), v.Minor(), v.Patch()} }

var firstVersion = regexp.MustCompile(`\d+(\.\d+)+`)

// parseVersion finds the version in what a tool says of itself: "v20.20.2", "Python 3.11.7", "go version
// go1.26.8 linux/amd64".
func parseVersion(said string) (*semver.Version, error) {
	found := firstVersion.FindString(said)
	if v, err := semver.NewVersion(found); err == nil {
		return v, nil
	}
	if v, err := semver.NewVersion(regexp.MustCompile(`^\d+\.\d+(\.\d+)?`).FindString(found)); err == nil { // 1.2.3.4
		return v, nil
	}
	return nil, errors.New("no version in it")
}
