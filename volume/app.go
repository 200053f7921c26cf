package volume

import (
	"bytes"
	"cmp"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"
)

// App is one app's part of the volume. It is a value: cheap to copy, holding nothing open.
type App struct {
	Name string
	vol  *Volume
}

// The places of an app; see the package's drawing.

func (a App) Dir() string     { return filepath.Join(a.vol.Root, "apps", a.Name) }
func (a App) Repo() string    { return a.path("repo.git") }
func (a App) Data() string    { return a.path("data") }
func (a App) Cache() string   { return a.path("cache") }
func (a App) Logs() string    { return a.path("logs") }
func (a App) Volume() *Volume { return a.vol }

// Worktree is the folder that holds the commit in place, in watch mode; WorktreeState the file that
// says which one, and whether it is being changed now.
func (a App) Worktree() string      { return a.path("worktree") }
func (a App) WorktreeState() string { return a.path("worktree.json") }

func (a App) path(elem ...string) string {
	return filepath.Join(append([]string{a.Dir()}, elem...)...)
}

// tell writes value into a file of the app, and rings. It rings only once the file is written: the
// bell wakes the writer as well, who would try again at once while the disk is full.
func (a App) tell(file string, value any) error {
	err := a.vol.writeJSON(a.path(file), value, 0o644)
	if err == nil {
		a.Ring()
	}
	return err
}

// Exists says whether the app is still there.
func (a App) Exists() bool {
	_, err := os.Stat(a.Dir())
	return err == nil
}

// Settings are what the owner wants of an app. A release keeps those of its moment.
type Settings struct {
	Branch string            `json:"branch,omitempty"` // deploy branch; empty: main, or master where that came first
	Mode   Mode              `json:"mode,omitempty"`   // how a commit goes live; empty: as the server is set
	Config map[string]string `json:"config,omitempty"` // config vars: environment of builds and processes
	Grace  time.Duration     `json:"grace,omitempty"`  // between SIGTERM and SIGKILL, in nanoseconds; 0: as the server is set
	Prove  *time.Duration    `json:"prove,omitempty"`  // how long a new release is watched before the branch moves, in nanoseconds; nil: as the server is set

	BuildDir  string `json:"build_dir,omitempty"` // the folder of the commit that is the app, with its Procfile; empty: the top
	Buildpack string `json:"buildpack,omitempty"` // URLs and folders, separated by spaces; empty: what is recognised

	// What follows counts for what runs now, whatever its release says.

	Formation map[string]int    `json:"formation,omitempty"` // process type -> how many; types not named are as app.json says
	Limits    map[string]Limits `json:"limits,omitempty"`    // process type -> what each of its processes may use; "" is every type, under what its own name says
	Stopped   int               `json:"stopped,omitempty"`   // the release that was stopped; a later one runs
	Restarts  map[string]string `json:"restarts,omitempty"`  // process type, or type.index -> token of the last ps:restart
	Cron      CronRequest       `json:"cron,omitzero"`       // the last cron:run
	Sleep     time.Duration     `json:"sleep,omitempty"`     // it sleeps when nobody has asked for it for so long, in nanoseconds; 0: never
	Wake      string            `json:"wake,omitempty"`      // token of the last command that wakes it
}

// Restart is the token of the last ps:restart that process type.index is meant by; empty: none was.
func (s Settings) Restart(processType string, index int) string {
	return s.Restarts[processType] + s.Restarts[processType+"."+strconv.Itoa(index)]
}

// Mode is how a commit of an app goes live.
type Mode string

const (
	ByRelease Mode = "release" // built, booted and checked beside the live one, then switched to
	InPlace   Mode = "watch"   // written into worktree/, which whoever runs the app watches
)

// InPlace says whether the settings ask for watch mode; fallback is the mode of apps that are not set to
// one.
func (s Settings) InPlace(fallback Mode) bool { return cmp.Or(s.Mode, fallback) == InPlace }

// Settings reads what is wanted of the app; zero where nothing was ever set. The config vars are
// those of the live release where there is one: so a change that did not come to life has changed
// nothing, and a rollback brings its own vars back.
func (a App) Settings() (Settings, error) {
	s, err := a.wanted()
	if n := a.Live(); n > 0 && err == nil {
		var live Release
		live, err = a.Release(n)
		s.Config = live.Settings.Config
	}
	return s, err
}

// Wanted is [App.Settings] but for the config vars, which are of no use to what runs already: its
// release has them.
func (a App) Wanted() (Settings, error) {
	s, err := a.wanted()
	s.Config = nil
	return s, err
}

func (a App) wanted() (s Settings, err error) {
	s, err = read[Settings](a, "settings.json", "restore it from a backup, or delete it: then the app has default settings, and keeps the config vars of what is live")
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return s, err
}

// SetSettings replaces what is wanted of the app; its config vars count until the first release is
// live. The caller holds the app's turn, having read the settings under it.
func (a App) SetSettings(s Settings) error {
	return a.vol.writeJSON(a.path("settings.json"), s, 0o600)
}

// Identity tells this app from another that had its name before; empty where there is no app. An
// error says nothing about the app: too many open files are not its end. It is [Damage] where the
// app has lost its id.
func (a App) Identity() (string, error) {
	id, err := os.ReadFile(a.path("id"))
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if !a.Exists() {
			_, away := os.Stat(filepath.Dir(a.Dir())) // all of the volume: it is moved, or not mounted
			return "", away
		}
		err = errNoFile
	case err == nil && len(bytes.TrimSpace(id)) == 0:
		err = errEmpty
	}
	return string(id), a.vol.damage(a.path("id"), err, "the server writes it again")
}

func newIdentity() string { return rand.Text() }
