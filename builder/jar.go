package builder

import (
	"archive/zip"
	"bufio"
	"io"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
)

// notPrograms are jars beside the one to run, by the names that Maven, Gradle and their plugins give.
var notPrograms = regexp.MustCompile(`(^original-.*|-(sources|javadoc|tests|test-fixtures|plain))\.jar$`)

// runnableJars are the jars in a folder of the tree, or of the folders at its top, that name a main class.
func runnableJars(root *os.Root, folder string) ([]string, error) {
	folders := []string{folder}
	top, err := fs.ReadDir(root.FS(), ".")
	if err != nil {
		return nil, err
	}
	for _, e := range top {
		if e.IsDir() {
			folders = append(folders, path.Join(e.Name(), folder))
		}
	}
	var jars []string
	for _, folder := range folders {
		entries, _ := fs.ReadDir(root.FS(), folder) // mostly not there
		for _, e := range entries {
			if name := e.Name(); strings.HasSuffix(name, ".jar") && !notPrograms.MatchString(name) && hasMainClass(root, path.Join(folder, name)) {
				jars = append(jars, path.Join(folder, name))
			}
		}
	}
	slices.Sort(jars)
	return jars, nil
}

// hasMainClass says whether a jar's manifest names the class to run
// (https://docs.oracle.com/en/java/javase/21/docs/specs/jar/jar.html#main-attributes).
func hasMainClass(root *os.Root, name string) bool {
	f, err := root.Open(name)
	if err != nil {
		return false
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return false
	}
	jar, err := zip.NewReader(f, info.Size())
	if err != nil {
		return false
	}
	manifest, err := jar.Open("META-INF/MANIFEST.MF")
	if err != nil {
		return false
	}
	defer manifest.Close()
	for lines := bufio.NewScanner(io.LimitReader(manifest, 1<<20)); lines.Scan() && lines.Text() != ""; {
		if strings.HasPrefix(strings.ToLower(lines.Text()), "main-class:") {
			return true
		}
	}
	return false
}
