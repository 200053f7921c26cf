package receiver

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"
)

// The hooks that git runs.
const (
	preReceive  = "pre-receive"
	postReceive = "post-receive"
)

// IsHook reports whether a program of that name (its argv[0], without folders) has to run [Hook].
func IsHook(name string) bool { return name == preReceive || name == postReceive }

// hooks is the folder of the hooks of this start of the server: links to a copy of this program
// beside them. git silently skips a hook that it cannot run, so the hooks must not depend on the
// path that the server was started from: an upgrade replaces the program there. A link has no
// content that could be templated, half-written or out of date. Hooks inside a repository are not
// run.
type hooks struct {
	mu  sync.Mutex
	dir string
}

const (
	program  = "paas" // the copy's name
	timesOwn = 10     // the program is copied only if the disk has so many times its size free
)

// readyHooks makes sure that git can run the hooks and that they reach this server, and returns the
// socket that they call. It is called at start and whenever a push begins.
func (r *Receiver) readyHooks() (socket string, err error) {
	h := &r.hooks
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.install(r); err != nil {
		return "", fmt.Errorf("hooks: %w", err)
	}
	if _, err := os.Lstat(r.socket); errors.Is(err, os.ErrNotExist) {
		if err := r.listen(); err != nil {
			return "", fmt.Errorf("hook socket: %w", err)
		}
	}
	return r.socket, nil
}

// nameHooks names the folder of hooks of this start, and removes those of earlier starts: nobody
// uses them, unless this receiver takes over from another. A read-only folder, as in a container, has
// its hooks already.
func (r *Receiver) nameHooks() error {
	all := r.hooksFolder()
	r.hooks.dir = filepath.Join(all, rand.Text())
	if r.TakesOver {
		if errors.Is(unix.Access(all, unix.W_OK), unix.EROFS) {
			r.hooks.dir = all
		}
		return nil
	}
	entries, err := os.ReadDir(all)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, e := range entries {
		err = errors.Join(err, os.RemoveAll(filepath.Join(all, e.Name())))
	}
	if errors.Is(err, unix.EROFS) {
		r.hooks.dir = all
		return nil
	}
	return err
}

func (r *Receiver) hooksFolder() string { return filepath.Join(r.Volume.Root, "hooks") }

// removeHooks removes the hooks of this receiver, which has no push any more.
func (r *Receiver) removeHooks() error {
	if r.hooks.dir == r.hooksFolder() {
		return nil
	}
	return os.RemoveAll(r.hooks.dir)
}

func (h *hooks) install(r *Receiver) error {
	names := []string{filepath.Join(h.dir, preReceive), filepath.Join(h.dir, postReceive)}
	if runnable(names...) {
		return nil
	}
	if err := os.MkdirAll(h.dir, 0o700); err != nil {
		return err
	}
	self, err := r.Self()
	if err != nil {
		return err
	}
	target := program
	if err := h.copyProgram(r, self); err != nil {
		if filepath.Dir(self) == "/proc/self" { // for git, that is git itself
			return fmt.Errorf(
				"%w, and the program is no longer where it was; start the server again", err,
			)
		}
		r.Log.Warn("the hooks are links to the program itself", "why", err)
		target = self
	}
	for _, name := range names {
		if err := r.Volume.ReplaceLink(target, name); err != nil {
			return err
		}
	}
	if !runnable(names...) {
		return fmt.Errorf("%s cannot be run; start the server again", self)
	}
	return nil
}

// copyProgram copies this program next to the hooks; if the file system can, the two share their
// blocks. It makes no hard link: a chown or chmod of all files under PAAS_ROOT would change the
// program itself.
func (h *hooks) copyProgram(r *Receiver, self string) error {
	path := filepath.Join(h.dir, program)
	if runnable(path) {
		return nil
	}
	from, err := os.Open(self)
	if err != nil {
		return err
	}
	defer from.Close()
	info, err := from.Stat()
	if err != nil {
		return err
	}
	if disk, err := r.Volume.Disk(); err != nil {
		return err
	} else if disk.Free/timesOwn < info.Size() {
		return errors.New("the disk has little space for a copy of it")
	}
	dir, err := r.Volume.TempDir()
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	whole := filepath.Join(dir, program)
	to, err := os.OpenFile(whole, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o700)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	if err == nil {
		err = to.Chmod(0o700) // the umask may have removed bits
	}
	if err := errors.Join(err, to.Close()); err != nil {
		return err
	}
	if err := os.Rename(whole, path); err != nil {
		return err
	}
	if !runnable(path) {
		os.Remove(path)
		return errors.New("the file system of the volume is mounted noexec")
	}
	return nil
}

// runnable reports whether git can run all of the paths.
func runnable(paths ...string) bool {
	for _, path := range paths {
		if unix.Access(path, unix.X_OK) != nil {
			return false
		}
	}
	return true
}

// CheckHooks returns an error if git cannot run the hooks on that volume. Before a server has
// installed any, there is none.
func CheckHooks(root string) error {
	all := filepath.Join(root, "hooks")
	entries, err := os.ReadDir(all)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	dirs := []string{}
	for _, entry := range entries {
		if entry.IsDir() {
			dirs = append(dirs, filepath.Join(all, entry.Name()))
		} else { // in a container, the image has them
			dirs = []string{all}
			break
		}
	}
	for _, dir := range dirs {
		for _, hook := range []string{preReceive, postReceive} {
			if path := filepath.Join(dir, hook); !runnable(path) {
				return fmt.Errorf("git cannot run %s", path)
			}
		}
	}
	return nil
}
