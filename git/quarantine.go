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

// Quarantine is where git stores the objects of a push until its hooks accept it
// (git-receive-pack(1), "Quarantine environment").
type Quarantine struct {
	Objects    string // GIT_OBJECT_DIRECTORY: folder of the new objects
	Alternates string // GIT_ALTERNATE_OBJECT_DIRECTORIES: folder of the existing objects
}

const quarantinePrefix = "tmp_objdir-"

func isQuarantine(name string) bool {
	// before git 2.35: incoming-
	return strings.HasPrefix(name, quarantinePrefix) || strings.HasPrefix(name, "incoming-")
}

// env returns variables that show the quarantined objects to a git process.
func (q Quarantine) env() []string {
	if q.Objects == "" {
		return nil
	}
	return []string{
		"GIT_OBJECT_DIRECTORY=" + q.Objects,
		"GIT_ALTERNATE_OBJECT_DIRECTORIES=" + q.Alternates,
	}
}

// WithQuarantine returns the repository together with the objects in a quarantine. q.Objects must
// be in the repository's objects folder, because the value comes from another process.
func (r Repo) WithQuarantine(q Quarantine) (Repo, error) {
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
	if !os.SameFile(inside, own) || !isQuarantine(filepath.Base(q.Objects)) {
		return r, fmt.Errorf("%s is not a quarantine of %s", q.Objects, r.Dir)
	}
	r.Quarantine = Quarantine{
		Objects:    filepath.Join(r.Dir, "objects", filepath.Base(q.Objects)),
		Alternates: filepath.Join(r.Dir, "objects"),
	}
	return r, nil
}

// RemoveQuarantines removes what killed pushes left behind. It must not be called during a push to
// the repository.
func (r Repo) RemoveQuarantines() error {
	objects := filepath.Join(r.Dir, "objects")
	entries, err := os.ReadDir(objects)
	for _, e := range entries {
		if e.IsDir() && isQuarantine(e.Name()) {
			err = errors.Join(err, removeQuarantine(filepath.Join(objects, e.Name())))
		}
	}
	return err
}

// RemoveQuarantine removes r.Quarantine if it still exists.
func (r Repo) RemoveQuarantine() error {
	if r.Quarantine.Objects == "" {
		return nil
	}
	return removeQuarantine(r.Quarantine.Objects)
}

// removeQuarantine renames a quarantine before removing it. A git process such as index-pack may
// have survived its parent and still be writing. It no longer finds the folder and exits.
func removeQuarantine(dir string) error {
	renamed := filepath.Join(filepath.Dir(dir), quarantinePrefix+"removed-"+rand.Text())
	if err := os.Rename(dir, renamed); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	err := os.RemoveAll(renamed)
	if errors.Is(err, syscall.ENOTEMPTY) { // a last file was written meanwhile
		err = os.RemoveAll(renamed)
	}
	return err
}
