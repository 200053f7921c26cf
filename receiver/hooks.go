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

// The hooks git is given.
const (
	preReceive  = "pre-receive"
	postReceive = "post-receive"
)

// IsHook says whether a program called name (its argv[0], without folders) is to be [Hook].
func IsHook(name string) bool { return name == preReceive || name == postReceive }

// hooks is the folder of the hooks of this life of the server: links to a copy of this program beside
// them. git skips a hook that it cannot run, without a word, so nothing may matter that others change:
// an upgrade replaces the program at the path that the server was started from. A link has no content
// that could be templated, half-written or out of date, and hooks inside a repository are not run.
type hooks struct {
	mu  sync.Mutex
	dir string
}

const (
	program  = "paas" // the copy's name
	timesOwn = 10     // how many times its own size the disk has free where the program is copied
)

// readyHooks sees to it that git can run the hooks and that they reach this server, and returns the
// socket that they call. It does so at start, when other folders of hooks go, and whenever a push begins.
func (r *Receiver) readyHooks() (socket string, err error) {
	h := &r.hooks
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.lay(r); err != nil {
		return "", fmt.Errorf("hooks: %w", err)
	}
	if _, err := os.Lstat(r.socket); errors.Is(err, os.ErrNotExist) {
		if err := r.listen(); err != nil {
			return "", fmt.Errorf("hook socket: %w", err)
		}
	}
	return r.socket, nil
}

// nameHooks names this life's folder of hooks, and removes those of earlier lives: nobody uses them,
// since there is one receiver on a volume. A folder that cannot be written to, as in a container, has
// its hooks already.
func (r *Receiver) nameHooks() error {
	all := filepath.Join(r.Volume.Root, "hooks")
	r.hooks.dir = filepath.Join(all, rand.Text())
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

func (h *hooks) lay(r *Receiver) error {
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
		if filepath.Dir(self) == "/proc/self" { // which is git, to git
			return fmt.Errorf("%w, and the program is not any more where it was; start the server again", err)
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

// copyProgram copies this program next to the hooks; where the file system can, the two share their
// blocks. No hard link: a chown or chmod of all that is under PAAS_ROOT would reach the program itself.
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
		return errors.New("the disk has little room for a copy of it")
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
		err = to.Chmod(0o700) // the umask may have taken bits away
	}
	if err := errors.Join(err, to.Close()); err != nil {
		return err
	}
	if err := os.Rename(whole, path); err != nil {
		return err
	}
	if !runnable(path) {
		os.Remove(path)
		return errors.New("PAAS_ROOT is mounted noexec")
	}
	return nil
}

// runnable says whether git will run what the paths name.
func runnable(paths ...string) bool {
	for _, path := range paths {
		if unix.Access(path, unix.X_OK) != nil {
			return false
		}
	}
	return true
}
