package builder

import (
	"fmt"
	"os"
	"regexp"
	"strings"

	"github.com/Masterminds/semver/v3"

	"paas/builder/tree"
)

// nodeRequirements returns the Node versions that a tree requires, in the files of version managers
// and in package.json.
func nodeRequirements(root *os.Root, p *nodePackage) ([]requirement, error) {
	var requires []requirement
	add := func(source, text string) error {
		found, err := nodeVersion(source, text)
		requires = append(requires, found...)
		return err
	}
	for _, name := range []string{".node-version", ".nvmrc"} {
		content, err := tree.ReadIf(root, name, 4<<10)
		if err == nil && content != nil {
			err = add(name, firstWord(content))
		}
		if err != nil {
			return nil, err
		}
	}
	asked, err := managedVersions(root, "node", "nodejs")
	if err != nil {
		return nil, err
	}
	for _, field := range append(asked, p.versionsOf("node")...) {
		if field.text == "" {
			continue
		}
		if err := add(field.source, field.text); err != nil {
			return nil, err
		}
	}
	return requires, nil
}

// versionOrRange reads a plain version or a range of versions. A version with an x in the end is a
// plain one: 20.17.x means what 20.17 means.
func versionOrRange(source, text string, digits int) (requirement, error) {
	text = strings.TrimSpace(text)
	if plain := anyPatch.ReplaceAllString(text, ""); plainVersion.MatchString(plain) {
		r, err := atLeast(source, plain, digits)
		r.text = text
		return r, err
	}
	return inRange(source, text)
}

var anyPatch = regexp.MustCompile(`(\.[xX*])+$`)

// longTerm maps the code names of Node's long-term releases, which .nvmrc may use, to their major
// version (https://github.com/nodejs/Release).
var longTerm = map[string]uint64{
	"argon": 4, "boron": 6, "carbon": 8, "dubnium": 10, "erbium": 12, "fermium": 14,
	"gallium": 16, "hydrogen": 18, "iron": 20, "jod": 22, "krypton": 24, "lithium": 26,
}

// isLongTerm reports whether a Node release gets long-term support: those with an even number, and
// all from 27 on.
func isLongTerm(v *semver.Version) bool { return v.Major()%2 == 0 || v.Major() >= 27 }

// nodeVersion reads a version as .node-version, .nvmrc (https://github.com/nvm-sh/nvm#nvmrc) and
// the others have it. It may allow every version.
func nodeVersion(source, text string) ([]requirement, error) {
	lower := strings.ToLower(text)
	if name, ok := strings.CutPrefix(lower, "lts/"); ok && name != "*" {
		major, known := longTerm[name]
		if !known {
			return nil, fmt.Errorf("%s: unknown Node release %.40q; write a number such as 22",
				source, text)
		}
		r := sameMajor(source, major)
		r.text = fmt.Sprintf("%d (%s)", major, lower)
		return []requirement{r}, nil
	}
	switch lower {
	case "":
		return nil, fmt.Errorf("%s is empty; write a version such as 22", source)
	case "node", "stable", "latest", "current", "system":
		return nil, nil
	case "lts", "lts/*", "--lts":
		return []requirement{{
			source: source, text: "with long-term support",
			fits: func(v *semver.Version) (bool, bool) { return isLongTerm(v), false },
		}}, nil
	}
	r, err := versionOrRange(source, text, 1)
	return []requirement{r}, err
}

// firstWord returns the first line of a version file that is not empty, without comments and
// spaces.
func firstWord(content []byte) string {
	for line := range strings.Lines(string(tree.Text(content))) {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line != "" {
			return line
		}
	}
	return ""
}
