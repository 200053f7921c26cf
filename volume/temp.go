package volume

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// tmpDir is this process's own folder in tmp/. It is locked while the process lives, so that a
// server that starts can tell what a killed process left from what another is writing. It is made
// when it is first needed.
type tmpDir struct {
	mu   sync.Mutex
	lock *os.File
	dir  string
}

// temp returns a path in the process's own folder that nobody else uses. It is random: a counter
// could meet an earlier file.
func (v *Volume) temp() (string, error) {
	dir, err := v.ownTmpDir()
	return filepath.Join(dir, strconv.FormatUint(rand.Uint64(), 36)), err
}

func (v *Volume) ownTmpDir() (string, error) {
	d := &v.tmpDir
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lock != nil && !sameFile(d.lock, d.dir) { // somebody has removed it by hand
		d.lock.Close()
		d.lock = nil
	}
	for d.lock == nil {
		dir := filepath.Join(v.Root, "tmp", strconv.FormatUint(rand.Uint64(), 36))
		err := os.Mkdir(dir, 0o700)
		if errors.Is(err, fs.ErrNotExist) { // somebody has removed tmp/
			os.Mkdir(filepath.Dir(dir), 0o700)
			err = os.Mkdir(dir, 0o700)
		}
		if err != nil {
			return "", err
		}
		f, err := os.Open(dir)
		if errors.Is(err, fs.ErrNotExist) {
			continue // wiped before it was locked
		}
		if err != nil {
			return "", errors.Join(err, os.Remove(dir))
		}
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		// such as on a file system without locks
		if err != nil && !errors.Is(err, syscall.EWOULDBLOCK) {
			f.Close()
			return "", errors.Join(fmt.Errorf("lock %s: %w", dir, err), os.Remove(dir))
		}
		if err != nil || !sameFile(f, dir) {
			f.Close() // it is being wiped
			continue
		}
		d.lock, d.dir = f, dir
	}
	return d.dir, nil
}

// TempDir makes a new private folder in tmp/, on the same file system as all places it may be
// renamed to.
func (v *Volume) TempDir() (string, error) {
	dir, err := v.temp()
	if err == nil {
		err = os.Mkdir(dir, 0o700)
	}
	return dir, err
}

// RemoveTemp removes a folder made by [Volume.TempDir], or nothing if it was moved away since. It
// does not wait for the removal of the files.
func (v *Volume) RemoveTemp(dir string) error { return v.discard(dir) }

// discard takes a folder away, if it exists. That is one rename, however large the folder is:
// [Volume.Tidy] removes the files later. A process that is killed leaves all of it or none.
func (v *Volume) discard(dir string) error {
	tmp := filepath.Join(v.Root, "tmp")
	os.Mkdir(tmp, 0o700) // somebody may have removed it
	// No process has locked a folder of that name, so it counts as that of a dead one.
	err := v.move(dir, filepath.Join(tmp, strconv.FormatUint(rand.Uint64(), 36)))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	v.tidySoon()
	return err
}

// tidySoon lets [Volume.Tidy], if it runs, look into tmp/ again.
func (v *Volume) tidySoon() {
	if tidy := v.tidy.Load(); tidy != nil {
		(*tidy)()
	}
}

// tidyAfter is the time between a change and the removal of what was taken away, so that many
// changes cause one look into tmp/.
const tidyAfter = time.Second

// Tidy removes what was taken away, and what dead processes left in tmp/: now, and a second after
// each change of an app, until ctx ends. Every server runs it once, beside everything else: a
// destroyed app of 250,000 files takes many seconds.
func (v *Volume) Tidy(ctx context.Context) {
	changed := make(chan struct{}, 1)
	soon := func() {
		select {
		case changed <- struct{}{}:
		default:
		}
	}
	v.tidy.Store(&soon)
	defer v.Watch(func(string) { soon() })() // other processes take away, too
	for {
		if err := v.Wipe(); err != nil {
			v.log().Error("cannot look for files to remove", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-changed:
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(tidyAfter):
		}
	}
}

// Wipe removes what was taken away and what dead processes left in tmp/; what a live one writes
// stays. It logs once what it cannot remove, such as files of another user: they do no harm. What a
// process still writes to is left to the next call. Wipe blocks while the files are removed.
func (v *Volume) Wipe() error {
	v.wiping.Lock()
	defer v.wiping.Unlock()
	tmp := filepath.Join(v.Root, "tmp")
	entries, err := os.ReadDir(tmp)
	for _, e := range entries {
		path := filepath.Join(tmp, e.Name())
		if v.stuck[path] {
			continue
		}
		if !e.IsDir() { // such as a pipe, which opening would wait for
			if removeErr := os.Remove(path); !errors.Is(removeErr, fs.ErrNotExist) {
				err = errors.Join(err, removeErr)
			}
			continue
		}
		f, openErr := os.Open(path)
		if openErr != nil {
			continue // gone, or of another user
		}
		if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			err := removeAll(path)
			switch {
			case errors.Is(err, syscall.ENOTEMPTY): // a process of the app writes until it is killed
				v.tidySoon()
			case err != nil:
				v.log().Warn("cannot remove the files of a dead process", "path", path, "err", err)
				if v.stuck == nil {
					v.stuck = map[string]bool{}
				}
				v.stuck[path] = true
			}
		}
		f.Close()
	}
	return err
}

// Close removes this process's folder in tmp/. The volume may be used again afterwards.
func (v *Volume) Close() error {
	d := &v.tmpDir
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lock == nil {
		return nil
	}
	err := removeAll(d.dir)
	d.lock.Close()
	d.lock = nil
	return err
}

// sameFile reports whether path still names the open file f.
func sameFile(f *os.File, path string) bool {
	open, err := f.Stat()
	if err != nil {
		return false
	}
	now, err := os.Stat(path)
	return err == nil && os.SameFile(open, now)
}
