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

	// InPlace: the files are in worktree/, and there is no tree/.
	InPlace bool `json:"in_place,omitempty"`

	// ClearCache asks the runtime to empty the app's build cache before it builds.
	ClearCache bool `json:"clear_cache,omitempty"`
}

// Built is what the build produced. The file exists only if the build is complete.
type Built struct {
	// Kind is what was recognised: "node", "static", ...
	Kind      string            `json:"kind"`
	Processes map[string]string `json:"processes"` // process type -> command line
	// Static is the folder below tree/ to serve if there is no web command.
	Static string `json:"static,omitempty"`
	// Env has the variables that processes need to run with this build. A folder in it is a
	// placeholder of the engine: "\x00cache\x00/node/bin". Older versions wrote paths of the server.
	Env map[string]string `json:"env,omitempty"`
	// Toolchains are those that it was built with. Its processes run with them, the first one first
	// on PATH.
	Toolchains []Toolchain `json:"toolchains,omitempty"`
}

// inWorktree ends the ids of builds whose files are in worktree/.
const inWorktree = "-worktree"

// BuildTree is the folder of a build's files. All builds of watch mode have the same.
func (a App) BuildTree(id string) string {
	if strings.HasSuffix(id, inWorktree) {
		return a.Worktree()
	}
	return a.path("builds", id, "tree")
}

// ReleaseTree is the folder of a release's build that is the app, with its Procfile, where its
// processes run: the top of it, or the BuildDir of its settings. It returns an error if the commit
// has no such folder. Links are not followed out of the commit.
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
		err = fmt.Errorf("build-dir %s is not a folder of this commit", dir)
		return "", &Problem{err, Remedy{Do: ChooseBuildDir, App: a.Name}}
	}
	return filepath.Join(top, dir), nil
}

// CheckFolder returns dir, the value of that setting, as it is kept, or an error that says why it
// cannot name a folder of a commit. The top folder is empty.
func CheckFolder(setting, dir string) (string, error) {
	clean := path.Clean(dir)
	switch {
	case dir == "" || clean == ".":
		return "", nil
	case !fs.ValidPath(clean),
		strings.ContainsFunc(clean, unicode.IsControl),
		len(clean) > 200,
		strings.Split(clean, "/")[0] == ".git":
		return "", fmt.Errorf(
			"%s is a folder of the repository, like services/api, not %.60q", setting, dir,
		)
	}
	return clean, nil
}

// PublishBuild moves dir, a folder made by [Volume.TempDir] that holds tree/ unless b is InPlace, to
// the app's builds, and returns b with its id. The caller holds the app's turn.
func (a App) PublishBuild(b Build, dir string) (Build, error) {
	b.ID = b.Commit[:min(12, len(b.Commit))] + "-" + strings.ToLower(rand.Text()[:4])
	if b.InPlace {
		b.ID += inWorktree
	}
	b.At = time.Now().UTC()
	if err := a.vol.writeJSON(filepath.Join(dir, "build.json"), b, 0o644); err != nil {
		return Build{}, err
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		return Build{}, err
	}
	if err := a.vol.move(dir, a.path("builds", b.ID)); err != nil {
		return Build{}, err
	}
	return b, durable.SyncDir(a.path("builds"))
}

// Build reads what build id was made of.
func (a App) Build(id string) (Build, error) {
	return read[Build](
		a, filepath.Join("builds", id, "build.json"), "restore it from a backup, or push again",
	)
}

// Built reads what the build id produced. The error is fs.ErrNotExist if it is not complete. A
// toolchain that is missing is [Damage]: without it, another version of the server's might run.
func (a App) Built(id string) (Built, error) {
	b, err := read[Built](a, filepath.Join("builds", id, "built.json"), builtRemedy)
	for _, t := range b.Toolchains {
		_, statErr := os.Stat(a.vol.ToolchainDir(t))
		if err == nil && errors.Is(statErr, fs.ErrNotExist) {
			file := path.Join("toolchains", t.Name, t.Version)
			err = &Damage{File: file, Err: errors.New("the folder is missing"), Remedy: builtRemedy}
		}
	}
	return b, err
}

// BuiltOf is [App.Built] for a release that was built before: a file that is missing is [Damage]
// then.
func (a App) BuiltOf(r Release) (Built, error) {
	b, err := a.Built(r.Build)
	if errors.Is(err, fs.ErrNotExist) {
		err = a.vol.damage(a.path("builds", r.Build, "built.json"), errNoFile, builtRemedy)
	}
	return b, err
}

const builtRemedy = "rebuild the app, or push again"

// SetBuilt records that build id is complete. Only the runtime calls it.
func (a App) SetBuilt(id string, b Built) error {
	return a.vol.writeJSON(a.path("builds", id, "built.json"), b, 0o644)
}

// BuildKept reports whether build id exists and is complete, so that a release can go back to it. A
// build in worktree/ has no files of its own.
func (a App) BuildKept(id string) bool {
	if id == "" || strings.HasSuffix(id, inWorktree) {
		return false
	}
	_, err := os.Stat(a.path("builds", id, "built.json"))
	return err == nil
}

// Builds lists the ids of all builds, complete or not.
func (a App) Builds() ([]string, error) {
	entries, err := os.ReadDir(a.path("builds"))
	ids := make([]string, 0, len(entries))
	for _, e := range entries {
		ids = append(ids, e.Name())
	}
	return ids, err
}

// RemoveBuild removes a build that no release needs; removing it again is harmless. It is one
// rename, so a kill leaves the build whole or gone. Only the runtime calls it, and a maker that
// could not publish its build.
func (a App) RemoveBuild(id string) error {
	if id == "" { // a release in mode worktree has no build
		return nil
	}
	return a.vol.discard(a.path("builds", id))
}
