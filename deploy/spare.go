package deploy

import (
	"cmp"
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"paas/durable"
	"paas/git"
	"paas/reflink"
	"paas/volume"
)

// Spares makes a push cost what it changes, not what its commit holds: after a release of an app
// with many files, it makes a spare checkout of that commit. The next release changes the spare, and
// takes it as its build. Where the file system can share blocks, all spares share theirs with one
// checkout that stays, so that a build takes only the space of what differs.
//
// Keep [Spares.Run] running. A nil Spares makes none.
type Spares struct {
	Volume    *volume.Volume
	DiskSpace DiskSpace // a spare is made only while a deploy of its commit has space
	Log       *slog.Logger

	once   sync.Once
	asked  chan struct{} // holds one
	mu     sync.Mutex
	wanted map[string]bool // by app
	making string          // the app whose spare is being made; empty: none is
	made   chan struct{}   // closes then

	many       int                // of files; tests set it; 0: manyFiles
	breakpoint func(where string) // tests end the process here
}

// manyFiles is how many files a commit has that is worth a spare: fewer are written in the time
// that nobody notices.
const manyFiles = 1000

func (s *Spares) open() {
	s.once.Do(func() { s.asked, s.wanted = make(chan struct{}, 1), map[string]bool{} })
}

// want asks for a spare checkout of the app's live commit. It does not block.
func (s *Spares) want(app volume.App) {
	if s == nil {
		return
	}
	s.open()
	s.mu.Lock()
	s.wanted[app.Name] = true
	s.mu.Unlock()
	select {
	case s.asked <- struct{}{}:
	default:
	}
}

// Run makes the spares that are asked for, one after the other, until ctx ends.
func (s *Spares) Run(ctx context.Context) error {
	s.open()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-s.asked:
		}
		for name := s.next(); name != ""; name = s.next() {
			app, err := s.Volume.App(name)
			if err == nil {
				err = s.make(ctx, app)
			}
			s.done()
			if err != nil && ctx.Err() == nil && app.Exists() {
				s.Log.Warn("no spare checkout is made; the next deploy takes longer",
					"app", name, "err", err)
			}
		}
	}
}

// next begins with one that is wanted.
func (s *Spares) next() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for app := range s.wanted {
		delete(s.wanted, app)
		s.making, s.made = app, make(chan struct{})
		return app
	}
	return ""
}

func (s *Spares) done() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.making = ""
	close(s.made)
}

// take turns the app's spare into a checkout of commit, and returns the temporary folder in which
// that is tree/. The error is [fs.ErrNotExist] if there is none. A spare that is being made is
// waited for: that takes less time than to write all files beside it.
func (s *Spares) take(
	ctx context.Context, app volume.App, commit string, objects *git.Objects,
) (dir string, err error) {
	if s == nil {
		return "", fs.ErrNotExist
	}
	s.open()
	s.mu.Lock()
	delete(s.wanted, app.Name) // this deploy asks again
	making, made := s.making, s.made
	s.mu.Unlock()
	if making == app.Name {
		select {
		case <-made:
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
	return changed(ctx, app, volume.Spare, commit, objects)
}

// changed is take for any checkout of the app.
func changed(
	ctx context.Context, app volume.App, k volume.Kept, commit string, objects *git.Objects,
) (dir string, err error) {
	dir, from, err := app.TakeKept(k)
	if err == nil {
		err = objects.ChangeTree(ctx, from, commit, filepath.Join(dir, "tree"))
	}
	if err != nil && dir != "" { // such as from a repository that was fetched again
		err = errors.Join(err, app.Volume().RemoveTemp(dir))
	}
	return dir, err
}

// make makes the spare checkout of the app's live commit, unless it has one of any commit. An app
// with few files needs none.
func (s *Spares) make(ctx context.Context, app volume.App) error {
	r, err := app.Release(app.Live())
	if err != nil {
		return err
	}
	var b volume.Build
	if r.Build != "" {
		if b, err = app.Build(r.Build); err != nil {
			return err
		}
	}
	if b.InPlace || b.Files < cmp.Or(s.many, manyFiles) ||
		s.DiskSpace.Check(s.Volume, b.Bytes, b.Files) != nil {
		return errors.Join(app.Forget(volume.Spare), app.Forget(volume.Base))
	}
	if app.Keeps(volume.Spare) {
		return nil
	}
	return withCommit(app, r, func(objects *git.Objects) error {
		return s.makeOf(ctx, app, b, objects)
	})
}

func (s *Spares) makeOf(
	ctx context.Context, app volume.App, b volume.Build, objects *git.Objects,
) error {
	base, err := changed(ctx, app, volume.Base, b.Commit, objects)
	if err != nil {
		// They belong to the owner of the build's files: the app's user, if it has one.
		of, statErr := os.Lstat(app.BuildTree(b.ID))
		if statErr != nil {
			return statErr
		}
		base, err = written(ctx, app, b.Commit, objects, of)
	}
	if err != nil {
		return err
	}
	defer func() { s.Volume.RemoveTemp(base) }()
	spare, err := s.Volume.TempDir()
	if err != nil {
		return err
	}
	defer func() { s.Volume.RemoveTemp(spare) }()
	err = reflink.Tree(ctx, filepath.Join(base, "tree"), filepath.Join(spare, "tree"))
	shared := !errors.Is(err, errors.ErrUnsupported)
	if !shared {
		base, spare, err = spare, base, nil
	}
	if err == nil {
		flushed := make(chan error, 1)
		go func() { flushed <- durable.Flush(spare) }() // and base: they are on one file system
		select {
		case err = <-flushed:
		case <-ctx.Done(): // a flush may take a while
			err = ctx.Err()
		}
	}
	if err == nil && shared {
		err = app.Keep(volume.Base, b.Commit, base)
	}
	if err != nil {
		return err
	}
	if s.breakpoint != nil {
		s.breakpoint("base")
	}
	return app.Keep(volume.Spare, b.Commit, spare)
}
