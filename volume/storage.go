package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"
	"unicode"
)

const (
	maxStorage = 80 // bytes of a path: its name must be that of a file
	maxStores  = 32 // of an app
)

// Builds make these folders, so that what is kept there would be in their way.
var (
	madeAnywhere = []string{"node_modules", ".venv", "venv", "__pycache__"}
	madeAtTop    = []string{"bin", "build", "dist", "obj", "out", "target", "vendor"}
)

// AddStorage returns the folders of kept and one more, sorted. The error says why path cannot be
// kept: it is no folder of a tree, or it overlaps with another.
func AddStorage(kept []string, folder string) ([]string, error) {
	folder, err := checkStorage(folder)
	if err != nil || slices.Contains(kept, folder) {
		return kept, err
	}
	for _, other := range kept {
		switch {
		case strings.HasPrefix(folder, other+"/"):
			return kept, fmt.Errorf("%s is in %s, which is kept already", folder, other)
		case strings.HasPrefix(other, folder+"/"):
			return kept, fmt.Errorf("%s, which is kept already, is in %s", other, folder)
		}
	}
	if len(kept) == maxStores {
		return kept, fmt.Errorf("%d folders are kept already; no app can have more", maxStores)
	}
	return slices.Sorted(slices.Values(append(slices.Clone(kept), folder))), nil
}

// checkStorage returns folder in its shortest form.
func checkStorage(folder string) (string, error) {
	clean := path.Clean(folder)
	if folder == "" || clean == "." || !fs.ValidPath(clean) || len(clean) > maxStorage ||
		strings.ContainsFunc(clean, unicode.IsControl) {
		return "", fmt.Errorf("a storage is a folder of the tree, such as public/uploads, "+
			"with at most %d bytes; not %.60q", maxStorage, folder)
	}
	for name := range strings.SplitSeq(clean, "/") {
		switch {
		case name == ".git", name == ".paas":
			return "", fmt.Errorf("%s cannot be kept: git and paas use %s", clean, name)
		case slices.Contains(madeAnywhere, name),
			name == clean && slices.Contains(madeAtTop, name):
			return "", fmt.Errorf("%s cannot be kept: each build makes %s", clean, name)
		}
	}
	return clean, nil
}

// Stored is a folder of an app's tree whose files are kept across releases.
type Stored struct {
	Path  string    // below the folder that is the app
	Bytes int64     // of its files
	Since time.Time // when it was made
}

// StorageFiles is where the files of a folder of the tree are that is kept across releases. The
// engine makes it, whole, when the first process that sees it starts.
func (a App) StorageFiles(folder string) string {
	return filepath.Join(a.storage(folder), "files")
}

// BuildReplaced is the folder for what a build has in the place of links to files that are kept.
func (a App) BuildReplaced(id string) string { return a.path("builds", id, "replaced") }

func (a App) storage(folder string) string { return a.path("storage", url.PathEscape(folder)) }

// Stored lists the folders of the tree whose files are on the volume, in the order of their paths,
// whether a release keeps them now or not. It reads the sizes of all files.
func (a App) Stored() (list []Stored, err error) {
	entries, err := os.ReadDir(a.path("storage"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		folder, nameErr := url.PathUnescape(e.Name())
		info, infoErr := e.Info()
		if nameErr != nil || infoErr != nil || !e.IsDir() {
			continue // not of this program, or removed since
		}
		s := Stored{Path: folder, Since: info.ModTime()} // the app writes only below it
		filepath.WalkDir(a.StorageFiles(folder), func(_ string, d fs.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return nil // the app may be removing it
			}
			if info, err := d.Info(); err == nil {
				s.Bytes += info.Size()
			}
			return nil
		})
		list = append(list, s)
	}
	slices.SortFunc(list, func(a, b Stored) int { return strings.Compare(a.Path, b.Path) })
	return list, err
}

// RemoveStored removes the files of a folder that no release keeps any more. The caller holds the
// app's turn. The folder is gone at once, or after an error not at all.
func (a App) RemoveStored(folder string) error { return a.vol.discard(a.storage(folder)) }

// CheckStorage fails if the release's tree has something other than a folder, or nothing, where
// files are to be kept.
func (a App) CheckStorage(r Release, folders []string) error {
	top := a.BuildTree(r.Build)
	root, err := os.OpenRoot(top)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, folder := range folders {
		at := ""
		for name := range strings.SplitSeq(path.Join(r.Settings.BuildDir, folder), "/") {
			at = path.Join(at, name)
			info, err := root.Lstat(at)
			if errors.Is(err, fs.ErrNotExist) {
				break
			}
			if err != nil {
				return err
			}
			link, _ := root.Readlink(at)
			switch {
			case link != "" && filepath.Join(top, path.Dir(at), link) == a.StorageFiles(folder):
			case link != "":
				return fmt.Errorf("storage: %s is a symbolic link", at)
			case !info.IsDir():
				return fmt.Errorf("storage: %s is not a folder", at)
			}
		}
	}
	return nil
}
