package volume

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"paas/durable"
)

// Causes of a release.
const (
	CausePush     = "push"
	CauseSync     = "sync" // of the repository that the app follows
	CauseConfig   = "config"
	CauseRollback = "rollback"
	CauseRestart  = "restart"
	CauseRebuild  = "rebuild"
	CauseRestore  = "restore" // of a backup
)

// Release is a build with the settings of a moment, who made it, and why. It never changes.
type Release struct {
	N       int    `json:"n"`
	Build   string `json:"build"`
	Commit  string `json:"commit"`
	Branch  string `json:"branch"`
	Subject string `json:"subject"` // first line of the commit message
	By      string `json:"by"`      // key name
	Cause   string `json:"cause"`
	// Note is such as "set COLOR" or "rollback to v3"; never the value of a config var.
	Note string `json:"note,omitempty"`
	// Of is the release whose build and config vars this repeats; 0: none.
	Of       int       `json:"of,omitempty"`
	At       time.Time `json:"at"`
	Settings Settings  `json:"settings"`
	// Wanted is what was wanted when it was made: only for a runtime that finds wanted.json
	// damaged.
	Wanted Wanted `json:"wanted,omitzero"`
}

// OnlyFiles reports whether the release is no more than files in worktree/. Earlier versions called
// that mode watch.
func (r Release) OnlyFiles() bool {
	return r.Settings.Mode == OnlyFiles || r.Settings.Mode == InPlace && r.Build == ""
}

// String returns what people call the release: v7.
func (r Release) String() string { return "v" + strconv.Itoa(r.N) }

// Publish makes r the app's next release and returns it with its number. The runtime makes it
// ready; then it waits for [App.Commit] or [App.Cancel]. The caller holds the app's turn until it
// has called one of them. Publishing is one rename: the release is there whole or not at all. It
// blocks for a few fsyncs.
func (a App) Publish(r Release) (Release, error) {
	tmp, err := a.vol.TempDir()
	if err != nil {
		return Release{}, err
	}
	defer os.RemoveAll(tmp)
	if err := os.Chmod(tmp, 0o755); err != nil {
		return Release{}, err
	}
	r.At, r.Settings.ConfigAfter = time.Now().UTC(), 0
	last, err := a.Last()
	if err != nil {
		return Release{}, err
	}
	if w, err := a.Wanted(); err == nil {
		r.Wanted = w
	}
	for r.N = last + 1; ; r.N++ {
		if err := a.vol.writeJSON(filepath.Join(tmp, "release.json"), r, 0o600); err != nil {
			return Release{}, err
		}
		err := a.vol.move(tmp, a.releaseDir(r.N))
		if err == nil {
			break
		}
		if _, statErr := os.Stat(a.releaseDir(r.N)); statErr != nil {
			return Release{}, err
		}
	}
	a.Ring()
	return r, durable.SyncDir(a.path("releases"))
}

func (a App) releaseDir(n int) string { return a.path("releases", strconv.Itoa(n)) }

const releaseRemedy = "restore it from a backup, or roll back to another release"

// Release reads release n. The error is [Damage] if its folder or its file is lost or unreadable.
func (a App) Release(n int) (Release, error) {
	file := filepath.Join("releases", strconv.Itoa(n), "release.json")
	r, err := read[Release](a, file, releaseRemedy)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if there, err := a.has(n); err == nil && !there && n != a.Live() {
			return r, fmt.Errorf("%s has no release v%d", a.Name, n)
		}
		err = a.vol.damage(a.path(file), errNoFile, releaseRemedy)
	case err == nil && r.N != n:
		err = a.vol.damage(a.path(file), odd("it is of v%d", r.N), releaseRemedy)
	}
	return r, err
}

// Status reads how far release n has come: it is queued until the runtime records something. If the
// file is damaged, the state is worked out from the rest of the volume, and the reason names the
// file.
func (a App) Status(n int) (Status, error) {
	file := filepath.Join("releases", strconv.Itoa(n), "status.json")
	s, err := read[Status](a, file, "worked out from the rest")
	live := a.Live()
	switch {
	case errors.Is(err, fs.ErrNotExist):
		if n > live {
			return Status{State: Queued}, nil
		}
		err = a.vol.damage(a.path(file), errNoFile, "worked out from the rest")
	case err == nil && s.State == "":
		err = a.vol.damage(a.path(file), odd("it has no state"), "worked out from the rest")
	}
	if !IsDamage(err) {
		return s, err
	}
	s = Status{Reason: err.Error()}
	switch {
	case n == live:
		s.State = Live
	case n > live:
		s.State = Queued
	case a.Committed(n):
		s.State = Retired
	default:
		s.State = Failed
	}
	return s, nil
}

// SetStatus records how far release n has come. Only the runtime calls it, or in mode worktree the
// maker of the release.
func (a App) SetStatus(n int, s Status) error {
	s.At = time.Now().UTC()
	return a.tell(filepath.Join("releases", strconv.Itoa(n), "status.json"), s)
}

// Commit records that release n, which is ready, is accepted: the second phase of a push.
func (a App) Commit(n int) error { return a.mark(n, "commit", "") }

// Cancel records that release n is not wanted any more, why, in one line, and what to do about it;
// the zero Remedy means to deploy it again. It has no effect after n is committed.
func (a App) Cancel(n int, why string, remedy Remedy) error {
	if remedy == (Remedy{}) {
		return a.mark(n, "cancel", why)
	}
	text, err := json.Marshal(remedy)
	if err != nil {
		return err
	}
	return a.mark(n, "cancel", why+"\n"+string(text))
}

func (a App) mark(n int, name, text string) error {
	err := a.vol.WriteFile(filepath.Join(a.releaseDir(n), name), []byte(text), 0o644)
	if err == nil { // as in tell
		a.Ring()
	}
	return err
}

// Committed reports whether release n is accepted.
func (a App) Committed(n int) bool { return a.marked(n, "commit") }

// Cancelled reports whether release n was cancelled before it was committed, and the state that it
// should then have.
func (a App) Cancelled(n int) (s Status, cancelled bool) {
	text, err := os.ReadFile(filepath.Join(a.releaseDir(n), "cancel"))
	if err != nil || a.Committed(n) {
		return s, false
	}
	why, special, _ := strings.Cut(string(text), "\n")
	s = a.CancelledFor(n, why)
	var remedy Remedy
	if json.Unmarshal([]byte(special), &remedy) == nil {
		s.Remedy = remedy
	}
	return s, true
}

// CancelledFor is the state of release n if it is cancelled, and it helps to deploy it again.
func (a App) CancelledFor(n int, why string) Status {
	r, _ := a.Release(n) // of a damaged one the cause is not known
	return Status{
		State: Cancelled, Reason: why,
		Remedy: Remedy{Do: DeployAgain, App: a.Name, With: r.Cause},
	}
}

func (a App) marked(n int, name string) bool {
	_, err := os.Stat(filepath.Join(a.releaseDir(n), name))
	return err == nil
}

// Live returns the number of the live release, 0 if there is none: the release that is accepted and
// comes back after a restart. A release that proves itself gets the traffic before it is live.
func (a App) Live() int {
	target, err := os.Readlink(a.path("live"))
	if err != nil {
		return 0
	}
	n, _ := strconv.Atoi(filepath.Base(target))
	return max(n, 0)
}

// SetLive makes release n live. Only the runtime calls it, or in mode worktree the maker of the
// release. After an error it may be live all the same, until a power cut: see [App.Live].
func (a App) SetLive(n int) error {
	return a.vol.ReplaceLink(filepath.Join("releases", strconv.Itoa(n)), a.path("live"))
}

// DropLogs removes the logs of releases up to n. It removes at most 1000 with each call: earlier
// versions may have left more.
func (a App) DropLogs(n int) error {
	// gap: so many in a row may have no log, because they were cancelled early, or are of watch
	// mode
	const most, gap = 1000, 20
	for missing, left := 0, most; n > 0 && missing < gap && left > 0; n-- {
		switch err := os.Remove(a.ReleaseLog(n)); {
		case err == nil:
			missing, left = 0, left-1
		case errors.Is(err, fs.ErrNotExist):
			missing++
		default:
			return err
		}
	}
	return nil
}

// ReleaseLog is the path of the file with the output of building and booting release n.
func (a App) ReleaseLog(n int) string { return filepath.Join(a.releaseDir(n), "log") }
