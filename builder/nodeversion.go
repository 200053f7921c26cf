package builder

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/Masterminds/semver/v3"

	"paas/builder/tree"
)

// nodeRequirements returns the Node versions that a tree requires, in .node-version, .nvmrc and the
// engines of package.json.
func nodeRequirements(root *os.Root, p *nodePackage) ([]requirement, error) {
	var requires []requirement
	for _, name := range []string{".node-version", ".nvmrc"} {
		content, err := tree.ReadIf(root, name, 4<<10)
		if content != nil {
			var found []requirement
			found, err = nodeVersion(name, content)
			requires = append(requires, found...)
		}
		if err != nil {
			return nil, err
		}
	}
	var engines struct{ Node string }
	if json.Unmarshal(p.fields["engines"], &engines) != nil ||
		strings.TrimSpace(engines.Node) == "" {
		return requires, nil
	}
	r, err := versionOrRange("engines.node in package.json", engines.Node, 1)
	return append(requires, r), err
}

// versionOrRange reads a plain version or a range of versions.
func versionOrRange(source, text string, digits int) (requirement, error) {
	text = strings.TrimSpace(text)
	if plainVersion.MatchString(text) {
		return atLeast(source, text, digits)
	}
	return inRange(source, text)
}

// longTerm maps the code names of Node's long-term releases, which .nvmrc may use, to their major
// version (https://github.com/nodejs/Release).
var longTerm = map[string]uint64{
	"argon": 4, "boron": 6, "carbon": 8, "dubnium": 10, "erbium": 12, "fermium": 14,
	"gallium": 16, "hydrogen": 18, "iron": 20, "jod": 22, "krypton": 24,
}

// nodeVersion reads a .node-version or an .nvmrc (https://github.com/nvm-sh/nvm#nvmrc): one word
// and comments. It may allow every version.
func nodeVersion(source string, content []byte) ([]requirement, error) {
	text := firstWord(content)
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
			fits: func(v *semver.Version) (bool, bool) { return v.Major()%2 == 0, false },
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
