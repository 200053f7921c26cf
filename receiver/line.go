package receiver

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/sosedoff/gitkit"

	"paas/git"
)

// update is one reference a push wants to move. Empty old or new: there was none, there is to be
// none.
type update struct {
	ref      string
	old, new string
	delete   bool
}

// hookLine is a line git gives a hook (githooks(5), pre-receive): two object names of SHA-1 or
// SHA-256, and a reference.
var hookLine = regexp.MustCompile(`^([0-9a-f]{40} [0-9a-f]{40}|[0-9a-f]{64} [0-9a-f]{64}) refs(/[^\x00-\x20\x7f/]+)+$`)

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

// parseLine reads one line of a hook's input. It is checked before gitkit sees it: that splits
// without looking, and reads past the end of a reference of one component.
func parseLine(line string) (update, error) {
	if !hookLine.MatchString(line) {
		return update{}, fmt.Errorf("git told the hook something unknown: %q", plain(line, 200))
	}
	if strings.Count(line, "/") < 2 { // refs/stash, say; gitkit wants three components
		fields := strings.Fields(line)
		return update{ref: fields[2], old: name(fields[0]), new: name(fields[1]), delete: name(fields[1]) == ""}, nil
	}
	info, err := gitkit.ReadHookInput(strings.NewReader(line))
	if err != nil {
		return update{}, err
	}
	return update{
		ref:    info.Ref,
		old:    name(info.OldRev),
		new:    name(info.NewRev),
		delete: info.Action == gitkit.BranchDeleteAction || info.Action == gitkit.TagDeleteAction || name(info.NewRev) == "",
	}, nil
}

// name is an object's name, empty for the one that stands for none.
func name(rev string) string {
	if strings.Trim(rev, git.Zero[:1]) == "" {
		return ""
	}
	return rev
}
