package volume

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"
	"unicode"

	"paas/durable"
)

// Build is a checked-out commit, before and after it was built.
type Build struct {
	ID      string    `json:"id"`
	Commit  string    `json:"commit"`
	Branch  string    `json:"branch"`
	Subject string    `json:"subject"`
	Files   int       `json:"files"`
	Bytes   int64     `json:"bytes"` // of all files in the commit
	At      time.Time `json:"at"`

	ClearCache bool `json:"clear_cache,omitempty"` // the app's build cache is emptied before it is built
}

// Built is what building made of a commit. Its presence says that the build is complete.
type Built struct {
	Kind      string            `json:"kind"`             // "node", "static", ... : what was recognised
	Processes map[string]string `json:"processes"`        // process type -> command line
	Static    string            `json:"static,omitempty"` // folder below tree/ to serve where no web command runs
	Env       map[string]string `json:"env,omitempty"`    // what the build wants in the environment of processes
}

// BuildTree is the folder a build's files live in.
func (a App) BuildTree(id string) string { return a.path("builds", id, "tree") }

// ReleaseTree is the folder of a release's build that is the app, where its Procfile is and its
// processes run: the top of it, or the BuildDir of its settings. An error where the commit has no such
// folder; links are not followed out of the commit.
func (a App) ReleaseTree(r Release) (string, error) {
	top, dir := a.BuildTree(r.Build), r.Settings.BuildDir
	if dir == "" {
		return top, nil
	}
	root, err := os.OpenRoot(top)
	if err != nil {
		return "", err
	}
	defer root.Close()
	if info, err := root.Stat(dir); err != nil || !info.IsDir() {
		return "", fmt.Errorf("build-dir %s is not a folder of this commit; settings:set %s build-dir=FOLDER names another, build-dir= the top",
			dir, a.Name)
	}
	return filepath.Join(top, dir), nil
}

// CheckBuildDir returns dir as [Settings] keep it, or says why it names no folder inside a commit.
func CheckBuildDir(dir string) (string, error) {
	clean := path.Clean(dir)
	switch {
	case dir == "" || clean == ".":
		return "", nil
	case !fs.ValidPath(clean), strings.ContainsFunc(clean, unicode.IsControl), len(clean) > 200, strings.Split(clean, "/")[0] == ".git":
		return "", fmt.Errorf("a build-dir is a folder of the repository, like services/api, not %.60q", dir)
	}
	return clean, nil
}

// PublishBuild gives the folder dir, made by [Volume.TempDir] and holding tree/, its place among
// the builds, and b its id. The caller holds the app's turn.
func (a App) PublishBuild(b Build, dir string) (Build, error) {
	b.ID = b.Commit[:min(12, len(b.Commit))] + "-" + strings.ToLower(rand.Text()[:4])
	b.At = time.Now().UTC()
	if err := a.vol.writeJSON(filepath.Join(dir, "build.json"), b, 0o644); err != nil {
		return Build{}, err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return Build{}, err
	}
	if err := os.Rename(dir, a.path("builds", b.ID)); err != nil {
		return Build{}, err
	}
	return b, durable.SyncDir(a.path("builds"))
}

// Build reads what build id was made from.
func (a App) Build(id string) (Build, error) {
	return read[Build](a, filepath.Join("builds", id, "build.json"), "restore it from a backup, or push again")
}

// Built reads what building made of id; fs.ErrNotExist where it is not complete.
func (a App) Built(id string) (Built, error) {
	return read[Built](a, filepath.Join("builds", id, "built.json"), builtRemedy)
}

// BuiltOf is [App.Built] for a release that was built before: then it is [Damage] where that is lost.
func (a App) BuiltOf(r Release) (Built, error) {
	b, err := a.Built(r.Build)
	if errors.Is(err, fs.ErrNotExist) {
		err = a.vol.damage(a.path("builds", r.Build, "built.json"), errNoFile, builtRemedy)
	}
	return b, err
}

const builtRemedy = "rebuild the app, or push again"

// SetBuilt says that build id is complete. For the runtime alone.
func (a App) SetBuilt(id string, b Built) error {
	return a.vol.writeJSON(a.path("builds", id, "built.json"), b, 0o644)
}

// BuildKept says whether build id is there and complete, so that a release can be made of it.
func (a App) BuildKept(id string) bool {
	if id == "" { // of a release in watch mode, which has none
		return false
	}
	_, err := os.Stat(a.path("builds", id, "built.json"))
	return err == nil
}

// Builds lists the ids of the builds there are, complete or not.
func (a App) Builds() ([]string, error) {
	entries, err := os.ReadDir(a.path("builds"))
	ids := make([]string, 0, len(entries))
	for _, e := range entries {
		ids = append(ids, e.Name())
	}
	return ids, err
}

// RemoveBuild takes a build away that no release needs; it is no error that it is gone already. For
// the runtime, and for who made it and could not publish it. Blocks while the files are removed.
func (a App) RemoveBuild(id string) error {
	remove, err := a.DropBuild(id)
	return errors.Join(err, remove())
}

// DropBuild is the first half of [App.RemoveBuild]: from now on there is no such build. That is one
// rename, so that a kill leaves the build whole or gone, and the app's turn need not be held while
// remove, the second half, removes the files. A kill in between leaves them to [Volume.Wipe].
func (a App) DropBuild(id string) (remove func() error, err error) {
	nothing := func() error { return nil }
	if id == "" { // of a release in watch mode, which has none
		return nothing, nil
	}
	grave, err := a.vol.temp()
	if err != nil {
		return nothing, err
	}
	err = os.Rename(a.path("builds", id), grave)
	if errors.Is(err, os.ErrNotExist) {
		return nothing, nil
	}
	if err != nil {
		return nothing, err
	}
	return func() error { return removeAll(grave) }, nil
}
