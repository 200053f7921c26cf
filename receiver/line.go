package receiver

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/sosedoff/gitkit"

	"paas/git"
)

// update is one reference that a push wants to move. An empty old or new means that it did not
// exist, or must be deleted.
type update struct {
	ref      string
	old, new string
	delete   bool
}

// hookLine matches a line of a hook's input (githooks(5), pre-receive): two object names of SHA-1
// or SHA-256, and a reference.
var hookLine = regexp.MustCompile(
	`^([0-9a-f]{40} [0-9a-f]{40}|[0-9a-f]{64} [0-9a-f]{64}) refs(/[^\x00-\x20\x7f/]+)+$`,
)

// parseLines reads a hook's input.
func parseLines(lines []string) (updates []update, err error) {
	for _, line := range lines {
		u, err := parseLine(line)
		if err != nil {
			return nil, err
		}
		updates = append(updates, u)
	}
	return updates, nil
}

// parseLine reads one line of a hook's input. It checks the line before gitkit gets it, because
// gitkit checks nothing, and reads past the end of a reference with one component.
func parseLine(line string) (update, error) {
	if !hookLine.MatchString(line) {
		return update{}, fmt.Errorf("git told the hook something unexpected: %q", plain(line, 200))
	}
	if strings.Count(line, "/") < 2 { // such as refs/stash; gitkit needs three components
		fields := strings.Fields(line)
		return update{
			ref:    fields[2],
			old:    name(fields[0]),
			new:    name(fields[1]),
			delete: name(fields[1]) == "",
		}, nil
	}
	info, err := gitkit.ReadHookInput(strings.NewReader(line))
	if err != nil {
		return update{}, err
	}
	return update{
		ref: info.Ref,
		old: name(info.OldRev),
		new: name(info.NewRev),
		delete: info.Action == gitkit.BranchDeleteAction || info.Action == gitkit.TagDeleteAction ||
			name(info.NewRev) == "",
	}, nil
}

// name is the name of an object; empty for the zeros that stand for none.
func name(rev string) string {
	if strings.Trim(rev, git.Zero[:1]) == "" {
		return ""
	}
	return rev
}
