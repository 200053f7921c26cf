package volume

import (
	"errors"
	"io/fs"
	"os"
	"time"
)

// SourceStatus is how following an app's source goes, as far as the releases do not tell.
type SourceStatus struct {
	Source string `json:"source"` // ID of the source that this is about
	// Commit is the last one that was decided on; it is not tried again by itself.
	Commit  string `json:"commit,omitempty"`
	Release int    `json:"release,omitempty"` // that was made of the commit; 0: none could be
	// Failed says in one line why the commit did not go live; empty: it did.
	Failed string `json:"failed,omitempty"`
	// Error says in one line why the last poll or sync failed, which is tried again.
	Error string    `json:"error,omitempty"`
	Since time.Time `json:"since"` // since when all this is so
	At    time.Time `json:"-"`     // of the last poll: the file's time
}

// SourceStatus reads how following the app's source goes; zero if it was never polled.
func (a App) SourceStatus() (SourceStatus, error) {
	s, ok, err := a.Source()
	if err != nil || !ok {
		return SourceStatus{}, err
	}
	l, err := read[SourceStatus](
		a, "looked.json", "delete it: then the source is polled as if for the first time",
	)
	if errors.Is(err, fs.ErrNotExist) || err == nil && l.Source != s.ID {
		return SourceStatus{}, nil
	}
	if info, statErr := os.Stat(a.path("looked.json")); statErr == nil {
		l.At = info.ModTime()
	}
	return l, err
}

// SetSourceStatus replaces the [SourceStatus], as of now. The caller holds the [App.SourceLock].
func (a App) SetSourceStatus(l SourceStatus) error {
	l.Since = time.Now().UTC()
	return a.tell("looked.json", l)
}

// TouchSourceStatus records that the source was polled now, and that nothing has changed. It is
// cheap and not durable: a power cut may undo the last calls.
func (a App) TouchSourceStatus() {
	// with an error the next poll tries again
	os.Chtimes(a.path("looked.json"), time.Time{}, time.Now())
}
