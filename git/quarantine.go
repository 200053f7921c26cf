package git

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// Quarantine is where git keeps the objects of a push until its hooks have accepted it
// (git-receive-pack(1), "Quarantine environment").
type Quarantine struct {
	Objects    string // GIT_OBJECT_DIRECTORY: the folder of the new objects
	Alternates string // GIT_ALTERNATE_OBJECT_DIRECTORIES: where the others are
}

// quarantinePrefixes begin the names of quarantine folders: since git 2.35, and before.
var quarantinePrefixes = []string{"tmp_objdir-", "incoming-"}

func quarantineName(name string) bool {
	for _, prefix := range quarantinePrefixes {
		if strings.HasPrefix(name, prefix) {
			return true
		}
	}
	return false
}

// env is what lets a git process see the quarantined objects.
func (q Quarantine) env() []string {
	if q.Objects == "" {
		return nil
	}
	return []string{
		"GIT_OBJECT_DIRECTORY=" + q.Objects,
		"GIT_ALTERNATE_OBJECT_DIRECTORIES=" + q.Alternates,
	}
}

// InQuarantine is the repository as seen with the quarantine's objects. The quarantine must lie in
// the repository's own objects folder, where git puts it: what it names comes from another process.
func (r Repo) InQuarantine(q Quarantine) (Repo, error) {
	if q.Objects == "" {
		return r, nil
	}
	inside, err := os.Stat(filepath.Dir(q.Objects))
	if err != nil {
		return r, err
	}
	own, err := os.Stat(filepath.Join(r.Dir, "objects"))
	if err != nil {
		return r, err
	}
	if !os.SameFile(inside, own) || !quarantineName(filepath.Base(q.Objects)) {
		return r, fmt.Errorf("%s is not a quarantine of %s", q.Objects, r.Dir)
	}
	r.Quarantine = Quarantine{
		Objects:    filepath.Join(r.Dir, "objects", filepath.Base(q.Objects)),
		Alternates: filepath.Join(r.Dir, "objects"),
	}
	return r, nil
}

// RemoveQuarantines removes what pushes killed half-way left behind. Only while no push to the
// repository is under way.
func (r Repo) RemoveQuarantines() error {
	objects := filepath.Join(r.Dir, "objects")
	entries, err := os.ReadDir(objects)
	for _, e := range entries {
		if e.IsDir() && quarantineName(e.Name()) {
			err = errors.Join(err, removeQuarantine(filepath.Join(objects, e.Name())))
		}
	}
	return err
}

// RemoveQuarantine removes the repository's own quarantine, if it is still there.
func (r Repo) RemoveQuarantine() error {
	if r.Quarantine.Objects == "" {
		return nil
	}
	return removeQuarantine(r.Quarantine.Objects)
}

// removeQuarantine renames the quarantine before it removes it. A git process may have outlived the one
// that was killed, such as git index-pack, and goes on writing; it finds nothing by the old name, so it
// adds nothing, and ends.
func removeQuarantine(dir string) error {
	gone := filepath.Join(filepath.Dir(dir), quarantinePrefixes[0]+"removed-"+rand.Text())
	if err := os.Rename(dir, gone); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	err := os.RemoveAll(gone)
	if errors.Is(err, syscall.ENOTEMPTY) { // it had just found the place for one file more
		err = os.RemoveAll(gone)
	}
	return err
}
