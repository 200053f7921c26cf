package volume

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"paas/durable"
)

// Source is the repository elsewhere that feeds an app.
type Source struct {
	ID            string        `json:"id"`                       // random: what is known of one source says nothing of the next; SetSource gives it
	URL           string        `json:"url"`                      // without a secret: those are [Credentials]
	Branch        string        `json:"branch,omitempty"`         // empty: what the repository's HEAD points at
	Every         time.Duration `json:"-"`                        // how often it is looked at, MinEvery to MaxEvery; in the file as "10s"
	ByEnvironment bool          `json:"by_environment,omitempty"` // set by the environment of the sidecar, not by a command
}

// How often a source may be looked at.
const (
	MinEvery     = time.Second
	DefaultEvery = 10 * time.Second
	MaxEvery     = 24 * time.Hour
)

// sourceFile is a Source as it is written: durations as people write them.
type sourceFile struct {
	plainSource
	Every string `json:"every"`
}

type plainSource Source

// MarshalJSON implements [json.Marshaler].
func (s Source) MarshalJSON() ([]byte, error) {
	return json.Marshal(sourceFile{plainSource(s), s.Every.String()})
}

// UnmarshalJSON implements [json.Unmarshaler].
func (s *Source) UnmarshalJSON(content []byte) error {
	var f sourceFile
	if err := json.Unmarshal(content, &f); err != nil {
		return err
	}
	every, err := time.ParseDuration(f.Every)
	if err != nil {
		return odd("every: %v", err)
	}
	*s = Source(f.plainSource)
	s.Every = every
	if err := s.check(); err != nil {
		return odd("%v", err)
	}
	return nil
}

func (s Source) check() error {
	switch {
	case s.URL == "":
		return errors.New("a source needs a URL")
	case s.Every < MinEvery || s.Every > MaxEvery:
		return fmt.Errorf("every %s: a source can be looked at every %s to %s", s.Every, MinEvery, MaxEvery)
	}
	return nil
}

// Source is the repository that feeds the app; ok is false where none does.
func (a App) Source() (s Source, ok bool, err error) {
	s, err = read[Source](a, "source.json", "set the source again, or delete the file to follow nothing")
	if errors.Is(err, fs.ErrNotExist) {
		return Source{}, false, nil
	}
	return s, err == nil, err
}

// SetSource has the app fed by s from now on. An Every of 0 is [DefaultEvery]. The source keeps its
// ID where neither URL nor branch change. Set the [Credentials] first: the first look is at once.
func (a App) SetSource(s Source) error {
	if s.Every == 0 {
		s.Every = DefaultEvery
	}
	if err := s.check(); err != nil {
		return err
	}
	s.ID = rand.Text()
	if old, ok, _ := a.Source(); ok && old.URL == s.URL && old.Branch == s.Branch { // one that cannot be read is replaced
		s.ID = old.ID
		if old == s { // as each start with the same environment finds it, a full disk or not
			a.Ring()
			return nil
		}
	}
	return a.tell("source.json", s)
}

// UnsetSource ends the feeding of the app, and takes away what was known and kept for it,
// credentials included. It is no error that there was none. Blocks while the files are removed.
func (a App) UnsetSource() error {
	defer a.Ring()
	var errs []error
	for _, name := range []string{"source.json", "looked.json"} { // in this order: without the first nobody heeds the second
		if err := os.Remove(a.path(name)); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	errs = append(errs, durable.SyncDir(a.Dir()), a.vol.Credentials(a.Name).RemoveAll())
	// Whoever fetches now fails, and finds that the source is gone.
	for _, dir := range []string{a.SourceRepo(), a.SourceRepo() + ".new"} { // the latter is left by a fetch that was killed
		errs = append(errs, a.vol.discard(dir))
	}
	return errors.Join(errs...)
}

// discard takes a folder away in one step; it is no error that there is none.
func (v *Volume) discard(dir string) error {
	grave, err := v.temp()
	if err != nil {
		return err
	}
	if err := os.Rename(dir, grave); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	return removeAll(grave)
}

// SourceRepo is the folder that what is fetched from the source is kept in: a bare repository, made
// by whoever fetches first, and no loss when it goes. Whoever uses it holds the [App.SourceLock].
func (a App) SourceRepo() string { return a.path("source.git") }

// SourceLock waits until the caller is the only one, in any process, who syncs the app with its
// source, and returns what lets others. It is asked for before the app's turn, never after it. The
// lock of a process that dies is free at once. The error is ctx's, or says that the app is gone.
func (a App) SourceLock(ctx context.Context) (unlock func(), err error) {
	const retry = 50 * time.Millisecond
	for {
		unlock, err := a.TrySourceLock()
		if unlock != nil || err != nil {
			return unlock, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(retry):
		}
	}
}

// TrySourceLock is [App.SourceLock] for who does not wait: unlock is nil where somebody else has it.
func (a App) TrySourceLock() (unlock func(), err error) {
	path := filepath.Join(a.Dir(), "source.lock")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNoApp
	}
	if err != nil {
		return nil, err
	}
	err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	if err == nil && sameFile(f, path) {
		return func() { f.Close() }, nil
	}
	f.Close() // or the app was destroyed, and perhaps made again, in between
	if errors.Is(err, syscall.EWOULDBLOCK) || errors.Is(err, syscall.EINTR) {
		err = nil
	}
	return nil, err
}
