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

// Source is the remote repository that an app follows.
type Source struct {
	// ID is random, and given by SetSource: the status of one source says nothing about the next.
	ID string `json:"id"`
	// URL has no secrets: those are in [Credentials].
	URL string `json:"url"`
	// Branch is empty for the branch that the repository's HEAD points at.
	Branch string `json:"branch,omitempty"`
	// Tag is a pattern: the newest version among the tags that match is followed, not a branch.
	Tag string `json:"tag,omitempty"`
	// Commit is deployed, and nothing else is followed; 40 hexadecimal digits.
	Commit string `json:"commit,omitempty"`
	// Every is the interval between polls, from MinEvery to MaxEvery; in the file "10s".
	Every time.Duration `json:"-"`
	// ByEnvironment is true if the sidecar's environment set it, not a command.
	ByEnvironment bool `json:"by_environment,omitempty"`
}

// Intervals between the polls of a source.
const (
	MinEvery     = time.Second
	DefaultEvery = 10 * time.Second
	MaxEvery     = 24 * time.Hour
)

// sourceFile is the JSON of a Source, with durations as people write them.
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
		return odd("every: %q is not a time such as 10s", f.Every)
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
		return fmt.Errorf(
			"every %s: a source is polled every %s to %s", s.Every, MinEvery, MaxEvery,
		)
	}
	return nil
}

// Source reads the repository that the app follows; ok is false if it follows none.
func (a App) Source() (s Source, ok bool, err error) {
	s, err = read[Source](
		a, "source.json", "set the source again, or delete the file to follow nothing",
	)
	if errors.Is(err, fs.ErrNotExist) {
		return Source{}, false, nil
	}
	return s, err == nil, err
}

// SetSource makes the app follow s. An Every of 0 is [DefaultEvery]. The source keeps its ID if
// neither URL, branch, tag nor commit change. Set the [Credentials] first: the first poll comes at once.
func (a App) SetSource(s Source) error {
	if s.Every == 0 {
		s.Every = DefaultEvery
	}
	if err := s.check(); err != nil {
		return err
	}
	s.ID = rand.Text()
	// a source that cannot be read is replaced
	if old, ok, _ := a.Source(); ok && old.URL == s.URL && old.Branch == s.Branch &&
		old.Tag == s.Tag && old.Commit == s.Commit {
		s.ID = old.ID
		if old == s { // so a start with the same environment needs no disk space
			a.Ring()
			return nil
		}
	}
	return a.tell("source.json", s)
}

// UnsetSource ends following, and removes all that was kept for it, credentials included. Calling
// it again is harmless.
func (a App) UnsetSource() error {
	defer a.Ring()
	var errs []error
	// in this order: without the first, the second means nothing
	for _, name := range []string{"source.json", "looked.json"} {
		if err := os.Remove(a.path(name)); !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	errs = append(errs, durable.SyncDir(a.Dir()), a.vol.Credentials(a.Name).RemoveAll())
	// A fetch that is under way fails, and finds that the source is gone. A fetch that was killed
	// may have left the second folder.
	for _, dir := range []string{a.SourceRepo(), a.SourceRepo() + ".new"} {
		errs = append(errs, a.vol.discard(dir))
	}
	return errors.Join(errs...)
}

// SourceRepo is the folder of the bare repository that keeps what was fetched from the source. The
// first fetch makes it, and losing it does no harm. Its users hold the [App.SourceLock].
func (a App) SourceRepo() string { return a.path("source.git") }

// SourceLock waits until the caller alone, in all processes, syncs the app with its source. Take it
// before the app's turn, never after. The lock of a process that dies is free at once. The error is
// that of ctx, or [ErrNoApp].
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

// TrySourceLock is [App.SourceLock] without waiting: unlock is nil if somebody else has the lock.
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
	f.Close() // the app may have been destroyed, and perhaps made again, in between
	if errors.Is(err, syscall.EWOULDBLOCK) || errors.Is(err, syscall.EINTR) {
		err = nil
	}
	return nil, err
}
