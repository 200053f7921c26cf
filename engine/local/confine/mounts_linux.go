package confine

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"golang.org/x/sys/unix"
)

// privateFolders are where every user may write, by custom. Each box has its own.
var privateFolders = []string{"/tmp", "/var/tmp", "/dev/shm"}

// makeMounts gives the calling thread its own mounts, in which the hidden folders contain only what
// the box shows. In a sandbox, the root is already a copy.
func (b *Box) makeMounts() error {
	if len(b.Places) > 0 && !b.Isolation.Sandboxes {
		if err := enterSharedRoot(); err != nil {
			return err
		}
	}
	if err := ownMounts(); err != nil {
		return err
	}
	// The box's user must be able to enter the folders that are made here, whatever the server's
	// umask. After the unshare the umask is this thread's own (unshare(2)).
	defer unix.Umask(unix.Umask(0o022))
	// Open what will be visible before covering it: it is bound by its descriptor. And do so in
	// this namespace, because the kernel binds nothing from another one.
	var shown, replaced, opened []*bindMount
	defer func() {
		for _, w := range opened {
			unix.Close(w.fd)
		}
	}()
	open := func(source string, w *bindMount) error {
		err := w.open(source)
		if err == nil {
			opened = append(opened, w)
		}
		return err
	}
	covers := b.covers()
	for _, w := range b.bindMounts(slices.Concat(covers, privateFolders)) {
		err := open(w.from, w)
		if !w.writable && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission)) {
			continue // the server cannot see it either
		}
		if err != nil {
			return err
		}
		shown = append(shown, w)
	}
	replace := map[string]string{}
	maps.Copy(replace, b.Replace)
	proc := &bindMount{path: "/proc", writable: true}
	if b.Isolation.Sandboxes {
		if err := open(spareProc, proc); err != nil {
			return err
		}
		for _, socket := range b.reachableSockets(covers) {
			replace[socket] = os.DevNull
		}
	}
	for path, other := range replace {
		w := &bindMount{path: path}
		if err := open(other, w); err != nil {
			return err
		}
		replaced = append(replaced, w)
	}
	tmp := &bindMount{writable: true}
	if err := open(b.Tmp, tmp); err != nil {
		return err
	}
	for _, c := range covers {
		if err := cover(c); err != nil {
			return err
		}
	}
	for _, path := range []string{"/tmp", "/var/tmp"} {
		tmp.path = path
		if err := tmp.bind(); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	// the size is Docker's default
	err := mount("tmpfs", "/dev/shm", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=1777,size=64m")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, w := range shown {
		if err := w.createAndBind(); err != nil {
			return err
		}
	}
	for _, w := range replaced {
		err := w.bind()
		// a socket may vanish
		if err != nil && !(b.Isolation.Sandboxes && errors.Is(err, fs.ErrNotExist)) {
			return err
		}
	}
	if b.Isolation.Sandboxes {
		if err := b.makeReadOnly(shown, proc); err != nil {
			return err
		}
		return b.mountOver()
	}
	if err := b.mountOver(); err != nil {
		return err
	}
	for _, c := range covers {
		if err := remount(c, unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV); err != nil {
			return err
		}
	}
	// If a container forbids this, /proc shows the names of all processes, but no details
	mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "hidepid=2")
	return nil
}

// mountOver makes the mounts of Over. They have the flags of the folders that they show.
func (b *Box) mountOver() error {
	for _, o := range b.Over {
		if err := o.mount(); err != nil {
			return err
		}
	}
	return nil
}

// mount enters the folder step by step, and mounts where it is then: another process of the app may
// replace a part of a path by a link at any time.
func (o Over) mount() error {
	fd, err := unix.Open(o.Top, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	for name := range strings.SplitSeq(o.Path, "/") {
		if err != nil {
			break
		}
		above := fd
		fd, err = unix.Openat(above, name, unix.O_PATH|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		unix.Close(above)
	}
	if err != nil {
		return fmt.Errorf("storage: %s: %w", o.Path, err)
	}
	defer unix.Close(fd)
	if err := unix.Fchdir(fd); err != nil { // of this thread only, since the unshare
		return err
	}
	defer unix.Chdir("/")
	return mount(o.From, ".", "", unix.MS_BIND, "")
}

// covers returns the folders to cover. For each hidden folder that is the first one above it that
// other users may not enter, since the paths of the box's files lead through it.
func (b *Box) covers() []string {
	var list []string
	hide := b.Hide
	if len(b.Places) > 0 {
		hide = append(slices.Clone(hide), Beside)
	}
	for _, h := range hide {
		for _, dir := range parents(h) {
			info, err := os.Stat(dir)
			if errors.Is(err, fs.ErrNotExist) { // such as the missing home folder of a user
				break
			}
			if dir == h || err != nil || info.Mode().Perm()&0o001 == 0 {
				list = append(list, dir)
				break
			}
		}
	}
	covered := privateFolders // anyway
	if slices.ContainsFunc(b.Places, func(p Place) bool { return p.At == App }) {
		covered = append(slices.Clone(covered), App)
	}
	return slices.DeleteFunc(outermost(list), func(c string) bool {
		return slices.ContainsFunc(covered, func(dir string) bool { return below(c, dir) })
	})
}

// bindMounts returns what stays visible below the covered folders. Writable ones come last, so that
// they are writable inside read-only ones.
func (b *Box) bindMounts(covered []string) (list []*bindMount) {
	isIn := func(dirs []string, path string) bool {
		return slices.ContainsFunc(dirs, func(dir string) bool { return below(path, dir) })
	}
	for _, path := range outermost(b.Read) {
		if isIn(covered, path) && !isIn(b.Write, path) {
			list = append(list, &bindMount{from: path, path: path})
		}
	}
	for _, path := range outermost(b.Write) {
		if isIn(covered, path) || b.Isolation.Sandboxes { // in a sandbox all else is read-only
			list = append(list, &bindMount{from: path, path: path, writable: true})
		}
	}
	for _, p := range b.Places {
		list = append(list, &bindMount{from: p.From, path: p.At, writable: p.Writable})
	}
	return list
}

// bindMount is a file or folder that is visible at a path, also after that was covered.
type bindMount struct {
	from     string
	path     string
	writable bool
	fd       int
	folder   bool
}

// open opens what will be visible at the path.
func (w *bindMount) open(source string) (err error) {
	if w.fd, err = unix.Open(source, unix.O_PATH|unix.O_CLOEXEC, 0); err != nil {
		return fmt.Errorf("%s: %w", source, err)
	}
	var stat unix.Stat_t
	if err := unix.Fstat(w.fd, &stat); err != nil {
		unix.Close(w.fd)
		return fmt.Errorf("%s: %w", source, err)
	}
	w.folder = stat.Mode&unix.S_IFMT == unix.S_IFDIR
	return nil
}

// createAndBind makes the mount point in the cover and mounts there.
func (w *bindMount) createAndBind() error {
	if err := os.MkdirAll(filepath.Dir(w.path), 0o755); err != nil {
		return err
	}
	var err error
	if w.folder {
		err = os.Mkdir(w.path, 0o755)
	} else {
		var file *os.File
		// do not touch an existing one
		file, err = os.OpenFile(w.path, os.O_CREATE|os.O_EXCL, 0o644)
		if err == nil {
			file.Close()
		}
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return w.bind()
}

func (w *bindMount) bind() error {
	source := "/proc/self/fd/" + strconv.Itoa(w.fd)
	if err := mount(source, w.path, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return err
	}
	flags := uintptr(unix.MS_NOSUID)
	if !below(w.path, "/dev") { // devices must keep working
		flags |= unix.MS_NODEV
	}
	if !w.writable {
		flags |= unix.MS_RDONLY
	}
	return remount(w.path, flags)
}

// ownMounts gives the calling thread a mount namespace. It shows later mounts of the machine, but
// its own mounts are visible nowhere else.
func ownMounts() error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("unshare: %w", err)
	}
	return mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, "")
}

// sharedRoot is what [ownRoot] makes, open. It takes a millisecond to make, so it is made once, and
// lasts as long as this process.
type sharedRoot struct{ namespace, root int }

var openSharedRoot = sync.OnceValues(func() (r sharedRoot, err error) {
	err = onThread(func() error {
		err := ownMounts()
		if err == nil {
			err = ownRoot()
		}
		if err == nil {
			r.namespace, err = unix.Open("/proc/thread-self/ns/mnt", unix.O_RDONLY|unix.O_CLOEXEC, 0)
		}
		if err == nil {
			r.root, err = unix.Open("/", unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		}
		return err
	})
	return r, err
})

// enterSharedRoot moves the calling thread to the sharedRoot.
func enterSharedRoot() error {
	r, err := openSharedRoot()
	if err == nil {
		err = unix.Unshare(unix.CLONE_FS) // else no thread may enter a mount namespace
	}
	if err == nil {
		err = unix.Setns(r.namespace, unix.CLONE_NEWNS)
	}
	// The namespace has another root if this process was started in a chroot.
	if err == nil {
		err = unix.Fchdir(r.root)
	}
	if err == nil {
		err = unix.Chroot(".")
	}
	if err != nil {
		return fmt.Errorf("enter the apps' root: %w", err)
	}
	return nil
}

// ownRoot gives the calling thread, which has its own mounts, another root: with everything that is
// in the machine's, and with App and Beside. So nothing needs to be made in the machine's.
func ownRoot() error {
	defer unix.Umask(unix.Umask(0o022)) // commands enter what is made here
	const anywhere, old = "/tmp", "/.old-root"
	if err := cover(anywhere); err != nil {
		return err
	}
	if err := os.Mkdir(anywhere+old, 0o700); err != nil {
		return err
	}
	if err := unix.PivotRoot(anywhere, anywhere+old); err != nil {
		return fmt.Errorf("pivot_root: %w", err)
	}
	if err := unix.Chdir("/"); err != nil {
		return err
	}
	entries, err := os.ReadDir(old)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := showIn("/"+e.Name(), old+"/"+e.Name(), e.Type()); err != nil {
			return err
		}
	}
	for _, dir := range []string{App, Beside} {
		if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return err
		}
	}
	if err := unix.Unmount(old, unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount the old root: %w", err)
	}
	return os.Remove(old)
}

// showIn makes path show what is at another one, with all mounts below it.
func showIn(path, other string, kind fs.FileMode) error {
	var err error
	switch {
	case kind&fs.ModeSymlink != 0:
		var link string
		if link, err = os.Readlink(other); err == nil {
			return os.Symlink(link, path)
		}
	case kind.IsDir():
		err = os.Mkdir(path, 0o755)
	default:
		err = os.WriteFile(path, nil, 0o644)
	}
	if err == nil {
		err = mount(other, path, "", unix.MS_BIND|unix.MS_REC, "")
	}
	if errors.Is(err, fs.ErrNotExist) { // just removed
		return nil
	}
	return err
}

// cover mounts an empty folder over dir.
func cover(dir string) error {
	return mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755,size=1m")
}

// remount adds flags to those of a mount. Before Linux 5.12 it also removes the others, which a
// user namespace may not do.
func remount(path string, flags uintptr) error {
	add := unix.MountAttr{}
	for flag, attr := range map[uintptr]uint64{
		unix.MS_RDONLY: unix.MOUNT_ATTR_RDONLY,
		unix.MS_NOSUID: unix.MOUNT_ATTR_NOSUID,
		unix.MS_NODEV:  unix.MOUNT_ATTR_NODEV,
	} {
		if flags&flag != 0 {
			add.Attr_set |= attr
		}
	}
	err := unix.MountSetattr(unix.AT_FDCWD, path, 0, &add)
	if errors.Is(err, unix.ENOSYS) {
		return mount("", path, "", unix.MS_REMOUNT|unix.MS_BIND|flags, "")
	}
	if err != nil {
		return fmt.Errorf("mount %s: %w", path, err)
	}
	return nil
}

func mount(source, target, kind string, flags uintptr, data string) error {
	if err := unix.Mount(source, target, kind, flags, data); err != nil {
		return fmt.Errorf("mount %s: %w", target, err)
	}
	return nil
}
