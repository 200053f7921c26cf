package toolchain

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
)

// Limits of a package. The largest real one has 150 MB in 3 files, or 2500 small ones.
const (
	maxUnpacked = 1 << 30 // bytes
	maxFiles    = 50_000
)

// unpack writes the files of a package (a tar.gz with one folder at its top) into the folder
// package/ of root, and makes bin/ with a link to each of its programs. Everybody can read the
// files, and nobody can write them.
func unpack(file io.Reader, root *os.Root, programs map[string]string) error {
	zipped, err := gzip.NewReader(file)
	if err != nil {
		return err
	}
	folders := map[string]bool{"package": true}
	if err := root.Mkdir("package", 0o755); err != nil {
		return err
	}
	left := int64(maxUnpacked)
	for archive, files := tar.NewReader(zipped), 0; ; files++ {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if files == maxFiles {
			return fmt.Errorf("it has more than %d files", maxFiles)
		}
		if left -= header.Size; left < 0 {
			return errors.New("it is too large")
		}
		if err := unpackFile(root, header, archive, folders); err != nil {
			return err
		}
	}
	if err := link(root, programs); err != nil {
		return err
	}
	for folder := range folders {
		if err := root.Chmod(folder, 0o555); err != nil {
			return err
		}
	}
	return nil
}

// unpackFile writes one file of an archive, and adds the folders that it makes. Packages of a
// registry have no links (https://docs.npmjs.com/cli/commands/npm-pack).
func unpackFile(
	root *os.Root, header *tar.Header, content io.Reader, folders map[string]bool,
) error {
	_, below, _ := strings.Cut(strings.TrimSuffix(header.Name, "/"), "/")
	switch {
	case header.Typeflag == tar.TypeDir:
		return nil
	case header.Typeflag != tar.TypeReg:
		return fmt.Errorf("%.100q is neither a file nor a folder", header.Name)
	case !fs.ValidPath(below) || below == ".":
		return fmt.Errorf("%.100q is not a path in it", header.Name)
	}
	name := path.Join("package", below)
	for dir := path.Dir(name); !folders[dir]; dir = path.Dir(dir) {
		folders[dir] = true
	}
	if err := root.MkdirAll(path.Dir(name), 0o755); err != nil {
		return err
	}
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	mode := fs.FileMode(0o444)
	if header.Mode&0o111 != 0 {
		mode = 0o555
	}
	_, err = io.Copy(f, content)
	return errors.Join(err, f.Chmod(mode), f.Close()) // whatever the umask
}

var programName = regexp.MustCompile(`^[a-z][a-z0-9-]*$`)

// link makes bin/ with links to the programs; nil: to those in package.json.
func link(root *os.Root, programs map[string]string) error {
	if programs == nil {
		var about struct{ Bin map[string]string }
		content, err := root.ReadFile("package/package.json")
		if err == nil {
			err = json.Unmarshal(content, &about)
		}
		if err != nil {
			return err
		}
		programs = about.Bin
	}
	if len(programs) == 0 {
		return errors.New("it has no program")
	}
	if err := root.Mkdir("bin", 0o755); err != nil {
		return err
	}
	for name, target := range programs {
		target = path.Clean(target)
		if !programName.MatchString(name) || !filepath.IsLocal(target) {
			return fmt.Errorf("it has a program %.40q at %.100q", name, target)
		}
		target = path.Join("package", target)
		if info, err := root.Lstat(target); err != nil || !info.Mode().IsRegular() {
			return errors.Join(err, fmt.Errorf("%.100q is not a file", target))
		}
		if err := root.Chmod(target, 0o555); err != nil { // npm makes it executable, too
			return err
		}
		if err := root.Symlink("../"+target, "bin/"+name); err != nil {
			return err
		}
	}
	return root.Chmod("bin", 0o555)
}
