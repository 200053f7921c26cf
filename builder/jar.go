package builder

import (
	"archive/zip"
	"bufio"
	"io"
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
	jars, err := matches(root, folder+"/*.jar", "*/"+folder+"/*.jar")
	return slices.DeleteFunc(jars, func(jar string) bool {
		return notPrograms.MatchString(path.Base(jar)) || !hasMainClass(root, jar)
	}), err
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
