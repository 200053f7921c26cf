package builder

import (
	"os"
	"strings"

	"paas/builder/tree"
)

// versionFile is the wish of a file that holds a version and nothing else, as version managers read
// them (.ruby-version and its like); before is what some write in front of the number. No file, no wish.
func versionFile(root *os.Root, name, before string, digits int) ([]wish, error) {
	if !tree.IsFile(root, name) {
		return nil, nil
	}
	content, err := tree.Read(root, name, 4<<10)
	if err != nil {
		return nil, err
	}
	w, err := atLeast(name, strings.TrimPrefix(firstWord(content), before), digits)
	if err != nil {
		return nil, err
	}
	return []wish{w}, nil
}
