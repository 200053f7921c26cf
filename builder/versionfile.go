package builder

import (
	"os"
	"strings"

	"paas/builder/tree"
)

// versionFile reads a file that contains only a version, as version managers do, such as
// .ruby-version. before is what may precede the number. If there is no such file, there is no
// requirement.
func versionFile(root *os.Root, name, before string, digits int) ([]requirement, error) {
	if !tree.IsFile(root, name) {
		return nil, nil
	}
	content, err := tree.Read(root, name, 4<<10)
	if err != nil {
		return nil, err
	}
	r, err := atLeast(name, strings.TrimPrefix(firstWord(content), before), digits)
	if err != nil {
		return nil, err
	}
	return []requirement{r}, nil
}
