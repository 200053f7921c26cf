package builder

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/Masterminds/semver/v3"

	"paas/builder/tree"
)

// nodeWishes are the versions of Node that a tree asks for: in .node-version, in .nvmrc, and in
// engines of package.json.
func nodeWishes(root *os.Root, p *nodePackage) ([]wish, error) {
	var wishes []wish
	for _, name := range []string{".node-version", ".nvmrc"} {
		if !tree.IsFile(root, name) {
			continue
		}
		content, err := tree.Read(root, name, 4<<10)
		if err != nil {
			return nil, err
		}
		w, any, err := nodeVersion(name, content)
		if err != nil {
			return nil, err
		}
		if !any {
			wishes = append(wishes, w)
		}
	}
	var engines struct{ Node string }
	if json.Unmarshal(p.fields["engines"], &engines) != nil || strings.TrimSpace(engines.Node) == "" {
		return wishes, nil
	}
	w, err := versionOrRange("engines.node in package.json", engines.Node, 1)
	return append(wishes, w), err
}

// versionOrRange is the wish for a plain version, or for a range of them.
func versionOrRange(by, asked string, digits int) (wish, error) {
	asked = strings.TrimSpace(asked)
	if plainVersion.MatchString(asked) {
		return atLeast(by, asked, digits)
	}
	return within(by, asked)
}

// longTerm are the code names of Node's releases with long-term support
// (https://github.com/nodejs/Release), which .nvmrc may name.
var longTerm = map[string]uint64{"argon": 4, "boron": 6, "carbon": 8, "dubnium": 10, "erbium": 12, "fermium": 14,
	"gallium": 16, "hydrogen": 18, "iron": 20, "jod": 22, "krypton": 24}

// nodeVersion reads a .node-version or a .nvmrc (https://github.com/nvm-sh/nvm#nvmrc): one word, and
// comments. any: it asks for no particular version.
func nodeVersion(by string, content []byte) (w wish, any bool, err error) {
	asked := firstWord(content)
	lower := strings.ToLower(asked)
	if name, ok := strings.CutPrefix(lower, "lts/"); ok && name != "*" {
		major, known := longTerm[name]
		if !known {
			return w, false, fmt.Errorf("%s: the release %.40q of Node is not known here; write its number, like 22", by, asked)
		}
		w = sameMajor(by, major)
		w.asked = fmt.Sprintf("%d (%s)", major, lower)
		return w, false, nil
	}
	switch lower {
	case "":
		return w, false, fmt.Errorf("%s is empty; write a version, like 22", by)
	case "node", "stable", "latest", "current", "system":
		return w, true, nil
	case "lts", "lts/*", "--lts":
		return wish{by: by, asked: "with long-term support", fits: func(v *semver.Version) (bool, bool) { return v.Major()%2 == 0, false }}, false, nil
	}
	w, err = versionOrRange(by, asked, 1)
	return w, false, err
}

// firstWord is the first line of a version file with anything in it, without comments and white space.
func firstWord(content []byte) string {
	for line := range strings.Lines(string(tree.Text(content))) {
		line, _, _ = strings.Cut(line, "#")
		if line = strings.TrimSpace(line); line != "" {
			return line
		}
	}
	return ""
}
