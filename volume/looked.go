package volume

import (
	"errors"
	"io/fs"
	"os"
	"time"
)

// Looked is what became of following an app's source, as far as it is not in the releases.
type Looked struct {
	Source  string    `json:"source"`            // ID of the source this is about
	Commit  string    `json:"commit,omitempty"`  // the last one that had its verdict; not tried again by itself
	Release int       `json:"release,omitempty"` // that the commit became; 0: it could not become one
	Failed  string    `json:"failed,omitempty"`  // one line: why the commit did not come to life; empty: it did
	Error   string    `json:"error,omitempty"`   // one line: why the last look or sync came to nothing; it is tried again
	Since   time.Time `json:"since"`             // when that became so
	At      time.Time `json:"-"`                 // the last look: the file's time
}

// Looked reads what became of following the app's source; zero where it was never looked at.
func (a App) Looked() (Looked, error) {
	s, ok, err := a.Source()
	if err != nil || !ok {
		return Looked{}, err
	}
	l, err := read[Looked](a, "looked.json", "delete it: then the source is looked at as for the first time")
	if errors.Is(err, fs.ErrNotExist) || err == nil && l.Source != s.ID {
		return Looked{}, nil
	}
	if info, statErr := os.Stat(a.path("looked.json")); statErr == nil {
		l.At = info.ModTime()
	}
	return l, err
}

// SetLooked replaces what [App.Looked] says, which is so from now on. The caller holds the
// [App.SourceLock].
func (a App) SetLooked(l Looked) error {
	l.Since = time.Now().UTC()
	return a.tell("looked.json", l)
}

// TouchLooked says that the source was looked at now, and that nothing has changed. It is as cheap
// as it is volatile: a power cut may take the last ones back.
func (a App) TouchLooked() {
	os.Chtimes(a.path("looked.json"), time.Time{}, time.Now()) // its error: the next look tries again
}
