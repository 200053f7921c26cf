package volume

import (
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
)

// desk is this process's own folder in tmp/, locked while the process lives: so that whoever starts
// can tell what a killed one left from what another is just writing. Made when it is first needed.
type desk struct {
	mu   sync.Mutex
	lock *os.File
	dir  string
}

// temp is a path on the desk that nobody else uses: random, because a counter would meet what was
// written before.
func (v *Volume) temp() (string, error) {
	dir, err := v.ownDesk()
	return filepath.Join(dir, strconv.FormatUint(rand.Uint64(), 36)), err
}

func (v *Volume) ownDesk() (string, error) {
	d := &v.desk
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.lock != nil && !sameFile(d.lock, d.dir) { // somebody has cleaned up by hand
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
			continue // swept before it was locked
		}
		if err != nil {
			return "", errors.Join(err, os.Remove(dir))
		}
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err != nil && !errors.Is(err, syscall.EWOULDBLOCK) { // no locks on this file system, say
			f.Close()
			return "", errors.Join(fmt.Errorf("lock %s: %w", dir, err), os.Remove(dir))
		}
		if err != nil || !sameFile(f, dir) {
			f.Close() // being swept
			continue
		}
		d.lock, d.dir = f, dir
	}
	return d.dir, nil
}

// TempDir makes a new private folder under tmp/, on the same file system as everything it may be
// renamed to.
func (v *Volume) TempDir() (string, error) {
	dir, err := v.temp()
	if err == nil {
		err = os.Mkdir(dir, 0o700)
	}
	return dir, err
}

// Wipe removes from tmp/ what processes that are dead left there; what a living one writes stays. What
// cannot be removed, such as files of another user, is logged and stays too: it does no harm. Blocks
// while the files are removed.
func (v *Volume) Wipe() error {
	tmp := filepath.Join(v.Root, "tmp")
	entries, err := os.ReadDir(tmp)
	for _, e := range entries {
		path := filepath.Join(tmp, e.Name())
		f, openErr := os.Open(path)
		if openErr != nil {
			continue // gone, or never anybody's desk
		}
		if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			if err := removeAll(path); err != nil {
				v.log().Warn("cannot remove what a process left; remove it by hand", "path", path, "err", err)
			}
		}
		f.Close()
	}
	return err
}

// Close clears this process's part of tmp/. The volume may be used again afterwards.
func (v *Volume) Close() error {
	d := &v.desk
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

// sameFile says whether path still names the open file f.
func sameFile(f *os.File, path string) bool {
	open, err := f.Stat()
	if err != nil {
		return false
	}
	now, err := os.Stat(path)
	return err == nil && os.SameFile(open, now)
}
