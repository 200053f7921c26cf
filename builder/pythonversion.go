package builder

import (
	"os"
	"strings"

	"paas/builder/tree"
)

// pythonWishes are the versions of Python that a tree asks for: in .python-version, which pyenv and uv
// read too, and in runtime.txt (https://devcenter.heroku.com/articles/python-runtimes).
func pythonWishes(root *os.Root) (wishes []wish, err error) {
	for _, name := range []string{".python-version", "runtime.txt"} {
		if !tree.IsFile(root, name) {
			continue
		}
		content, err := tree.Read(root, name, 4<<10)
		if err != nil {
			return nil, err
		}
		w, err := pythonVersion(name, content)
		if err != nil {
			return nil, err
		}
		wishes = append(wishes, w)
	}
	return wishes, nil
}

// pythonVersion reads "3.12", "3.12.1" or "python-3.12.1": versions agree that share the first two numbers.
func pythonVersion(by string, content []byte) (wish, error) {
	return atLeast(by, strings.TrimPrefix(firstWord(content), "python-"), 2)
}
