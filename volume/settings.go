package volume

import (
	"cmp"
	"errors"
	"io/fs"
)

// Settings are what a release freezes: how its commit is found and built, and its environment. A
// change takes effect with the next release that is made for it, and a rollback brings back those
// of its release. What takes effect on running processes at once is [Wanted].
type Settings struct {
	// Branch is the deploy branch; empty: main, or master if that came first.
	Branch string `json:"branch,omitempty"`
	// Mode is how a commit goes live; empty: the server's mode.
	Mode Mode `json:"mode,omitempty"`
	// Config has the config vars: variables for builds and processes.
	Config map[string]string `json:"config,omitempty"`
	// ConfigAfter is the live release after which Config is meant for the next one; 0: as below.
	ConfigAfter int `json:"config_after,omitempty"`
	// BuildDir is the folder of the commit that is the app, with its Procfile; empty: the top.
	BuildDir string `json:"build_dir,omitempty"`
	// Buildpack has URLs and folders, separated by spaces; empty: what is recognised.
	Buildpack string `json:"buildpack,omitempty"`
	// Storage has the folders of the tree that are kept across releases, besides those in app.json.
	// A release freezes which ones they are; their files belong to the app, and to all releases.
	Storage []string `json:"storage,omitempty"`
}

// Mode is how a commit of an app goes live.
type Mode string

const (
	// ByRelease builds, boots and checks a release beside the live one, which it then replaces.
	ByRelease Mode = "release"
	// InPlace does so in one folder: worktree/ is changed to the commit and built there, and stays.
	InPlace Mode = "watch"
	// OnlyFiles changes worktree/ to the commit, and builds and runs nothing: another program does.
	OnlyFiles Mode = "worktree"
)

// Modes lists all modes.
var Modes = []Mode{ByRelease, InPlace, OnlyFiles}

// ModeOr is the mode that the settings ask for; fallback is that of apps that set none.
func (s Settings) ModeOr(fallback Mode) Mode { return cmp.Or(s.Mode, fallback, ByRelease) }

const settingsRemedy = "restore it from a backup, or delete it: " +
	"then the app has default settings, and keeps the config vars of what is live"

// Settings reads what the next release of the app is made with; zero if nothing was ever set. The
// config vars and the storage are those of the live release, if there is one, unless ConfigAfter
// names it: so a change that did not go live has changed nothing, and a rollback brings its own
// vars back.
func (a App) Settings() (Settings, error) {
	s, err := read[Settings](a, "settings.json", settingsRemedy)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if n := a.Live(); n > 0 && n != s.ConfigAfter && err == nil {
		var live Release
		live, err = a.Release(n)
		s.Config, s.Storage, s.ConfigAfter = live.Settings.Config, live.Settings.Storage, 0
	}
	return s, err
}

// SetSettings replaces the app's settings; its config vars count until the first release is live,
// and with ConfigAfter until the next one is. The caller holds the app's turn, and has read the settings under it.
func (a App) SetSettings(s Settings) error {
	if err := a.splitWanted(); err != nil {
		return err
	}
	return a.vol.writeJSON(a.path("settings.json"), s, 0o600)
}
