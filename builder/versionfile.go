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
	content, err := tree.ReadIf(root, name, 4<<10)
	if content == nil || err != nil {
		return nil, err
	}
	r, err := atLeast(name, strings.TrimPrefix(firstWord(content), before), digits)
	return []requirement{r}, err
}
