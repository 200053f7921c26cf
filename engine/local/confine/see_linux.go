package confine

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"golang.org/x/sys/unix"
)

// privateFolders are where everybody may write, by custom: the box has its own.
var privateFolders = []string{"/tmp", "/var/tmp", "/dev/shm"}

// see gives the calling thread mounts of its own, in which the hidden folders are empty but for what the
// box shows.
func (b *Box) see() error {
	if err := ownMounts(); err != nil {
		return err
	}
	// The box's user goes through the folders that are made here, whatever the server's umask. This is the
	// thread's own: it shares none of that with others once it has mounts of its own (unshare(2)).
	defer unix.Umask(unix.Umask(0o022))
	// What is to be seen is opened before it is covered: a mount is bound by its descriptor. And in
	// this namespace, for the kernel binds nothing of another's.
	var shown, opened []*window
	defer func() {
		for _, w := range opened {
			unix.Close(w.fd)
		}
	}()
	covers := b.covers()
	for _, w := range b.windows(slices.Concat(covers, privateFolders)) {
		err := w.open()
		if !w.writable && (errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrPermission)) { // the server does not see it either
			continue
		}
		if err != nil {
			return err
		}
		shown, opened = append(shown, w), append(opened, w)
	}
	var instead []*window
	replace := func(path, other string) error {
		w := &window{path: other}
		if err := w.open(); err != nil {
			return err
		}
		w.path = path
		instead, opened = append(instead, w), append(opened, w)
		return nil
	}
	for path, other := range b.Instead {
		if err := replace(path, other); err != nil {
			return err
		}
	}
	var proc *window
	if b.Force.Sandboxes {
		proc = &window{path: spareProc, writable: true}
		if err := proc.open(); err != nil {
			return err
		}
		proc.path, opened = "/proc", append(opened, proc)
		for _, socket := range b.sockets(covers) {
			if err := replace(socket, os.DevNull); err != nil {
				return err
			}
		}
	}
	tmp := &window{path: b.Tmp, writable: true}
	if err := tmp.open(); err != nil {
		return err
	}
	opened = append(opened, tmp)
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
	// As large as Docker makes it.
	if err := mount("tmpfs", "/dev/shm", "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=1777,size=64m"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	for _, w := range shown {
		if err := w.place(); err != nil {
			return err
		}
	}
	for _, w := range instead {
		if err := w.bind(); err != nil && !(b.Force.Sandboxes && errors.Is(err, fs.ErrNotExist)) { // a socket may go meanwhile
			return err
		}
	}
	if b.Force.Sandboxes {
		return b.closeRest(shown, proc)
	}
	for _, c := range covers {
		if err := remount(c, unix.MS_RDONLY|unix.MS_NOSUID|unix.MS_NODEV); err != nil {
			return err
		}
	}
	// Where a container forbids it, /proc shows the names of all processes, and the insides of none.
	mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "hidepid=2")
	return nil
}

// covers are the folders to be covered: for each that is to be hidden the first above it that others may not
// enter, since a path to the box's files leads through it.
func (b *Box) covers() []string {
	var list []string
	for _, h := range b.Hide {
		for _, dir := range parents(h) {
			info, err := os.Stat(dir)
			if errors.Is(err, fs.ErrNotExist) { // the home of a user who has none
				break
			}
			if dir == h || err != nil || info.Mode().Perm()&0o001 == 0 {
				list = append(list, dir)
				break
			}
		}
	}
	return slices.DeleteFunc(outermost(list), func(c string) bool { // these are covered anyway
		return slices.ContainsFunc(privateFolders, func(private string) bool { return below(c, private) })
	})
}

// windows are what is to be seen below the covered folders; what is to be written comes last, so that it
// is writable where it lies in what is only to be read.
func (b *Box) windows(covered []string) (list []*window) {
	isIn := func(dirs []string, path string) bool {
		return slices.ContainsFunc(dirs, func(dir string) bool { return below(path, dir) })
	}
	for _, path := range outermost(b.Read) {
		if isIn(covered, path) && !isIn(b.Write, path) {
			list = append(list, &window{path: path})
		}
	}
	for _, path := range outermost(b.Write) {
		if isIn(covered, path) || b.Force.Sandboxes { // there everything else is only to be read
			list = append(list, &window{path: path, writable: true})
		}
	}
	return list
}

// window is a file or folder that is to be seen where it was, after what it is in was covered.
type window struct {
	path     string
	writable bool
	fd       int
	folder   bool
}

func (w *window) open() (err error) {
	if w.fd, err = unix.Open(w.path, unix.O_PATH|unix.O_CLOEXEC, 0); err != nil {
		return fmt.Errorf("%s: %w", w.path, err)
	}
	var stat unix.Stat_t
	if err := unix.Fstat(w.fd, &stat); err != nil {
		unix.Close(w.fd)
		return fmt.Errorf("%s: %w", w.path, err)
	}
	w.folder = stat.Mode&unix.S_IFMT == unix.S_IFDIR
	return nil
}

// place makes the place for the window in what covers it, and binds it there.
func (w *window) place() error {
	if err := os.MkdirAll(filepath.Dir(w.path), 0o755); err != nil {
		return err
	}
	var err error
	if w.folder {
		err = os.Mkdir(w.path, 0o755)
	} else {
		var place *os.File
		if place, err = os.OpenFile(w.path, os.O_CREATE|os.O_EXCL, 0o644); err == nil { // what is there stays as it is
			place.Close()
		}
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return w.bind()
}

func (w *window) bind() error {
	if err := mount("/proc/self/fd/"+strconv.Itoa(w.fd), w.path, "", unix.MS_BIND|unix.MS_REC, ""); err != nil {
		return err
	}
	flags := uintptr(unix.MS_NOSUID)
	if !below(w.path, "/dev") { // else a device would be none
		flags |= unix.MS_NODEV
	}
	if !w.writable {
		flags |= unix.MS_RDONLY
	}
	return remount(w.path, flags)
}

// ownMounts gives the calling thread a mount namespace. What is mounted elsewhere later shows in it, and
// what is mounted in it nowhere else.
func ownMounts() error {
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("unshare: %w", err)
	}
	return mount("", "/", "", unix.MS_REC|unix.MS_SLAVE, "")
}

// cover makes the folder an empty one.
func cover(dir string) error {
	return mount("tmpfs", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=0755,size=1m")
}

// remount adds flags to those of a mount. Before Linux 5.12 it takes others away, which a user namespace may not.
func remount(path string, flags uintptr) error {
	add := unix.MountAttr{}
	for flag, attr := range map[uintptr]uint64{unix.MS_RDONLY: unix.MOUNT_ATTR_RDONLY, unix.MS_NOSUID: unix.MOUNT_ATTR_NOSUID, unix.MS_NODEV: unix.MOUNT_ATTR_NODEV} {
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
