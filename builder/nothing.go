package builder

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"slices"
	"strings"

	"paas/builder/tree"
	"paas/volume"
)

var errNothing = errors.New("nothing to run was recognised: " +
	"looked for a Procfile, package.json (scripts.start, main or server.js), " +
	"go.mod or a main package in Go, deno.json, " +
	"app.py or main.py with requirements.txt or pyproject.toml, " +
	"config.ru or app.rb, composer.json, index.php or public/index.php, pom.xml, build.gradle, " +
	"Cargo.toml, a .NET solution or project, an executable bin/start, and index.html or public/index.html; " +
	"add a Procfile with a line like `web: node server.js`")

// explainNothing adds to errNothing what the tree has instead: an app in a folder, or a Dockerfile.
// Other errors it returns as they are.
func explainNothing(err error, root *os.Root, app string) error {
	if !errors.Is(err, errNothing) {
		return err
	}
	switch folders := appFolders(root); {
	case len(folders) == 1:
		return &volume.Problem{
			Err:    fmt.Errorf("nothing to run was recognised at the top, but in the folder %s", folders[0]),
			Remedy: volume.Remedy{Do: volume.SetBuildDir, App: app, With: folders[0]},
		}
	case len(folders) > 1:
		return &volume.Problem{
			Err: fmt.Errorf("nothing to run was recognised at the top, but in the folders %s; choose one, "+
				"or add a Procfile", strings.Join(folders, ", ")),
			Remedy: volume.Remedy{Do: volume.SetBuildDir, App: app, With: "FOLDER"},
		}
	case tree.IsFile(root, "Dockerfile"):
		return fmt.Errorf("%w. The Dockerfile is not used: builds need no image, and its CMD may be "+
			"that line", err)
	}
	return err
}

const maxFolders = 10 // in one message

// appFolders returns the nearest folders of the tree with an app of their own, at most two levels
// down.
func appFolders(root *os.Root) (found []string) {
	for _, pattern := range []string{"*", "*/*"} {
		all, _ := fs.Glob(root.FS(), pattern) // fails only for a malformed pattern
		for _, folder := range all {
			if len(found) < maxFolders && !isOthers(folder) && hasApp(root, folder) {
				found = append(found, folder)
			}
		}
		if len(found) > 0 {
			return found
		}
	}
	return nil
}

// isOthers reports whether the path leads into a hidden folder, or into one with code of others.
func isOthers(folder string) bool {
	return slices.ContainsFunc(strings.Split(folder, "/"), func(name string) bool {
		return name[0] == '.' || name == "node_modules" || name == "vendor"
	})
}

func hasApp(root *os.Root, folder string) bool {
	dir, err := root.OpenRoot(folder)
	if err != nil { // a file, say
		return false
	}
	defer dir.Close()
	p, err := detect(dir)
	return err == nil || p != nil && len(p.projects) > 0
}

// startScript returns an error if the tree has a bin/start that cannot run.
func startScript(root *os.Root) error {
	const name = "bin/start"
	switch {
	case !tree.IsFile(root, name):
		return nil
	case !isProgram(root, name):
		return fmt.Errorf("%s is not executable: git update-index --chmod=+x %s", name, name)
	}
	return windowsScript(root, name)
}

// windowsScript returns an error if the script's first line ends as on Windows.
func windowsScript(root *os.Root, name string) error {
	content, err := tree.Read(root, name, 16<<20)
	if err != nil { // whoever runs it will report that
		return nil
	}
	first, _, _ := bytes.Cut(content, []byte("\n"))
	if !bytes.HasPrefix(content, []byte("#!")) || !bytes.HasSuffix(first, []byte("\r")) {
		return nil
	}
	return fmt.Errorf(`%s has Windows line endings, so it cannot run: convert it with `+
		`echo "%s text eol=lf" >> .gitattributes; git add --renormalize . and commit`,
		name, path.Base(name))
}
