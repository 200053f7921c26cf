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

// notPrograms matches jars beside the one to run, by the names that Maven, Gradle and their plugins
// give them.
var notPrograms = regexp.MustCompile(
	`(^original-.*|-(sources|javadoc|tests|test-fixtures|plain))\.jar$`)

// runnableJars returns the jars with a main class in folder, and in the folder of that name in each
// folder at the top.
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
		entries, _ := fs.ReadDir(root.FS(), folder) // usually missing
		for _, e := range entries {
			jar := path.Join(folder, e.Name())
			if path.Ext(jar) == ".jar" && !notPrograms.MatchString(e.Name()) &&
				hasMainClass(root, jar) {
				jars = append(jars, jar)
			}
		}
	}
	slices.Sort(jars)
	return jars, nil
}

// hasMainClass reports whether a jar's manifest names a main class
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
	lines := bufio.NewScanner(io.LimitReader(manifest, 1<<20))
	for lines.Scan() && lines.Text() != "" {
		if strings.HasPrefix(strings.ToLower(lines.Text()), "main-class:") {
			return true
		}
	}
	return false
}
