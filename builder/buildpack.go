package builder

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"paas/builder/tree"
)

// Buildpack is a classic buildpack (https://devcenter.heroku.com/articles/buildpack-api): a folder
// with the scripts bin/detect, bin/compile and bin/release. It builds what no language of this
// package can.
type Buildpack struct {
	URL    string // of its repository; empty: use Folder
	Branch string // of that repository; empty: its default branch
	Folder string // an absolute path on the server, or a path in the app's repository
}

// OnServer reports whether the buildpack is a folder of the server.
func (p Buildpack) OnServer() bool { return filepath.IsAbs(p.Folder) }

// String returns the buildpack as its owner wrote it.
func (p Buildpack) String() string {
	if p.URL == "" {
		return p.Folder
	}
	if p.Branch == "" {
		return p.URL
	}
	return p.URL + "#" + p.Branch
}

// ParseBuildpacks reads a list of buildpacks, separated by white space, in the order in which they
// run. Each is a URL, with #BRANCH for a branch other than the default one; a folder of the server,
// which begins with a slash; or a folder of the app's repository, which begins with a dot.
func ParseBuildpacks(words string) ([]Buildpack, error) {
	var packs []Buildpack
	for _, word := range strings.Fields(words) {
		switch {
		case filepath.IsAbs(word):
			packs = append(packs, Buildpack{Folder: filepath.Clean(word)})
		case word[0] == '.':
			folder := path.Clean(word)
			if folder == ".." || strings.HasPrefix(folder, "../") {
				return nil, fmt.Errorf("buildpack %.100q is not in the repository", word)
			}
			packs = append(packs, Buildpack{Folder: folder})
		default:
			url, branch, _ := strings.Cut(word, "#")
			if url == "" {
				return nil, fmt.Errorf("buildpack %.100q has no URL before the branch", word)
			}
			packs = append(packs, Buildpack{URL: url, Branch: branch})
		}
	}
	return packs, nil
}

// buildpacks returns the buildpacks to use instead of recognising languages: those that the owner
// set; those in the repository's .buildpacks, one per line; or the repository itself if it contains
// the scripts of a buildpack. Usually there are none.
func (b *build) buildpacks() ([]Buildpack, error) {
	if b.job.Buildpack != "" {
		return ParseBuildpacks(b.job.Buildpack)
	}
	content, err := tree.ReadIf(b.tree, ".buildpacks", 16<<10)
	if err != nil {
		return nil, err
	}
	if content == nil {
		if isProgram(b.tree, "bin/detect") && isProgram(b.tree, "bin/compile") {
			return []Buildpack{{Folder: "."}}, nil
		}
		return nil, nil
	}
	var words []string
	for line := range strings.Lines(string(tree.Text(content))) {
		if line = strings.TrimSpace(line); !strings.HasPrefix(line, "#") {
			words = append(words, line)
		}
	}
	packs, err := ParseBuildpacks(strings.Join(words, " "))
	if err == nil && len(packs) == 0 {
		err = errors.New("lists no buildpack")
	}
	for _, p := range packs {
		if p.OnServer() { // a pusher must not choose folders of the server
			err = fmt.Errorf("%s is a folder of the server; use a URL, or a folder of the "+
				"repository such as ./buildpack", p)
		}
	}
	if err != nil {
		return nil, fmt.Errorf(".buildpacks: %w", err)
	}
	return packs, nil
}

// isProgram reports whether name is an executable file of the tree.
func isProgram(root *os.Root, name string) bool {
	info, err := root.Stat(name)
	return err == nil && info.Mode().IsRegular() && info.Mode()&0o111 != 0
}
