package local

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"paas/builder"
	"paas/engine"
	"paas/engine/local/child"
	"paas/engine/local/confine"
	"paas/engine/local/firewall"
	"paas/toolchain"
	"paas/volume"
)

// Confined is how apps should be isolated from each other and from the server. They are, as far as
// the machine allows.
type Confined struct {
	Off string // why they are not, for people; empty: they are

	// User returns the user id of an app, if apps have users of their own. An id that is foreign
	// belongs to somebody else on this machine.
	User func(app string, foreign func(uid int) bool) (uid int, err error)

	Read  []string // folders that all apps may read
	Write []string // folders that all apps may also write

	OpenNet bool     // apps may reach the ports of others and the cloud's metadata
	Doors   []string // addresses of the server's own that apps may reach
}

// isolate finds out how this machine can isolate apps.
func (l *Local) isolate() error {
	if l.Confined.Off != "" {
		l.isolation = confine.Isolation{Missing: l.Confined.Off}
		return nil
	}
	dir, err := os.MkdirTemp(l.scratch(), "")
	if err != nil { // a full disk must not keep the server from starting
		dir, err = os.MkdirTemp("", "paas-")
	}
	if err != nil {
		return err
	}
	if l.probe == nil {
		l.probe = confine.Probe
	}
	l.isolation = l.probe(dir, l.Self...)
	l.open = l.isolation.Open()
	if why := l.findFirewall(); why != "" {
		l.open = append(l.open, "ports of other apps and the cloud's metadata ("+why+")")
	}
	return os.RemoveAll(dir)
}

// findFirewall finds the firewall that closes the ports of other apps and the cloud's metadata to
// apps. If there is none although there should be, it returns why.
func (l *Local) findFirewall() (why string) {
	switch {
	case l.Confined.OpenNet || l.Beside != nil:
		return ""
	case !l.isolation.Users:
		return "apps have the server's user"
	}
	f := &firewall.Firewall{Name: l.Root, First: firstPort, Last: lastPort, Log: l.Log}
	for _, addr := range l.Confined.Doors {
		if _, text, err := net.SplitHostPort(addr); err == nil {
			if port, _ := strconv.Atoi(text); port >= f.First && port <= f.Last {
				f.Spare = append(f.Spare, port)
			}
		}
	}
	if err := f.Try(); err != nil {
		return err.Error()
	}
	l.firewall = f
	return ""
}

// Guard restricts a user's connections, if there is a firewall. Call it before the user runs
// anything.
func (l *Local) Guard(user int) error {
	if l.firewall == nil {
		return nil
	}
	return l.firewall.Guard(user)
}

// Isolation implements [engine.Engine].
func (l *Local) Isolation() engine.Isolation {
	list := []string{l.isolation.String(), l.Limiting(), l.Checking()}
	if !l.isolation.Mounts() {
		list = append(list, "apps at paths of this server, not at "+confine.App)
	}
	if l.firewall != nil {
		list = append(list, "own ports only, by nftables")
	}
	if len(l.open) > 0 {
		list = append(list, "open to apps: "+strings.Join(l.open, ", "))
	}
	i := engine.Isolation{By: strings.Join(list, "; "), Open: l.open}
	if !l.isolation.Any() {
		i.Missing = cmp.Or(l.isolation.Missing, "no isolation")
	}
	return i
}

// jail is the isolation of one process or build. Call leave when that has ended.
type jail struct {
	uid   int                 // 0: the server's user
	under []child.Confinement // nil if there is no isolation
	env   map[string]string
	box   confine.Box
	leave func()
}

// confine returns a jail for a process of the app, which has these places. home is its home folder.
// tree is the app's sources; empty: none.
func (l *Local) confine(app, tree, home string, places ...confine.Place) (jail, error) {
	j := jail{leave: func() {}}
	if !l.isolation.Any() {
		return j, nil
	}
	var err error
	if j.uid, err = l.uid(app); err != nil {
		return j, err
	}
	guard := l.Guard
	if l.Beside != nil {
		guard = l.Beside.Guard
	}
	if j.uid != 0 {
		if err := guard(j.uid); err != nil {
			return j, err
		}
	}
	own, err := os.MkdirTemp(l.scratch(), "")
	if err != nil {
		return j, err
	}
	j.leave = func() { os.RemoveAll(own) }
	box := &confine.Box{
		Isolation: l.isolation, UID: j.uid, Hide: l.hidden,
		Read: slices.Concat(l.Confined.Read, l.tools), Tmp: filepath.Join(own, "tmp"), Places: places,
	}
	if err = os.Mkdir(box.Tmp, 0o700); err == nil && l.isolation.Users {
		err = l.give(j.uid, append(box.Unmoved().Write, box.Tmp)...)
	}
	if err == nil && l.isolation.Users {
		box.Replace, err = confine.Users(own, app, j.uid, box.Inside(home))
	}
	if err == nil && l.isolation.Sandboxes {
		var sandbox *confine.Sandbox
		if sandbox, err = l.launcher.Sandbox(app); err == nil {
			box.In(sandbox)
			j.leave = func() {
				sandbox.Leave()
				os.RemoveAll(own)
			}
		}
	}
	if err != nil {
		j.leave()
		return j, err
	}
	if !l.isolation.Mounts() {
		box = box.Unmoved()
		j.env = map[string]string{"TMPDIR": box.Tmp}
		if tree != "" {
			box.Write = append(box.Write, dotnetFolders(tree)...)
		}
	}
	for _, path := range l.Confined.Write {
		if _, err := os.Stat(path); err == nil {
			box.Write = append(box.Write, path)
		}
	}
	j.box, j.under = *box, []child.Confinement{box}
	return j, nil
}

// confineProcess is confine for a process of a build, which sees the app's storage in its tree.
func (l *Local) confineProcess(app string, at Layout) (jail, error) {
	lock, _ := l.storing.LoadOrStore(app, &sync.Mutex{})
	lock.(*sync.Mutex).Lock()
	defer lock.(*sync.Mutex).Unlock()
	if err := l.openStorage(at); err != nil {
		return jail{}, fmt.Errorf("storage: %w", err)
	}
	places := append(at.places(false), confine.Place{From: at.Data, At: ownData, Writable: true})
	var over []confine.Over
	for folder, files := range at.Storage {
		p := confine.Place{From: files, At: ownStorage + url.PathEscape(folder), Writable: true}
		places = append(places, p)
		over = append(over, confine.Over{From: p.At, Top: confine.App, Path: folder})
	}
	j, err := l.confine(app, at.Tree, at.Data, places...)
	if err == nil && !builder.IsSettled(at.Cache, &j.box) {
		err = j.as(func() error { return builder.Settle(at.Cache, &j.box) }, filepath.Dir(at.Cache))
		if err != nil {
			j.leave()
		}
	}
	if err == nil && l.isolation.Mounts() {
		box := j.box
		box.Over, j.under = over, []child.Confinement{&box}
	}
	return j, err
}

// give makes an app's user the owner of folders. Calls for one app must not overlap: a process may
// start after the first call and change the folders while the second works.
func (l *Local) give(uid int, folders ...string) (err error) {
	l.owning.Lock()
	defer l.owning.Unlock()
	for _, dir := range folders {
		err = errors.Join(err, confine.Own(dir, uid))
	}
	return err
}

// scratch is the folder with the /tmp of each process. That of a builder beside has the builder's
// process id.
func (l *Local) scratch() string {
	dir := filepath.Join(l.Root, "scratch")
	if l.Beside != nil {
		dir = filepath.Join(dir, builderPrefix+strconv.Itoa(os.Getpid()))
	}
	return dir
}

const builderPrefix = "builder-"

// openScratch makes an empty scratch folder. The server must start even if some files cannot be
// removed, such as folders nested deeper than the limit on open files.
func (l *Local) openScratch() error {
	stale := []string{l.scratch()}
	if l.Beside != nil {
		others, _ := filepath.Glob(filepath.Join(filepath.Dir(l.scratch()), builderPrefix+"*"))
		for _, dir := range others {
			pid, err := strconv.Atoi(strings.TrimPrefix(filepath.Base(dir), builderPrefix))
			if err == nil && syscall.Kill(pid, 0) == syscall.ESRCH {
				stale = append(stale, dir)
			}
		}
	}
	for _, dir := range stale {
		if err := os.RemoveAll(dir); err != nil {
			l.Log.Error("cannot remove scratch files; remove them while the server is down",
				"path", dir, "err", err)
		}
	}
	return os.MkdirAll(l.scratch(), 0o700)
}

// as runs f with the app's rights to files, in the folders that the app sees and in the app's own
// folder. That folder is one mount, so that builds can hard-link files of the cache: hard links do
// not work between two mounts, even of the same disk.
func (j jail) as(f func() error, folder string, read ...string) error {
	j.box.Write = append(slices.Clone(j.box.Write), folder)
	j.box.Read = slices.Concat(j.box.Read, read)
	return j.box.As(f)
}

// folders returns the folders of this server that a list of buildpacks names.
func folders(buildpacks string) (list []string) {
	packs, _ := builder.ParseBuildpacks(buildpacks) // the build reports the error
	for _, p := range packs {
		if p.OnServer() {
			list = append(list, p.Folder)
		}
	}
	return list
}

// fetcher downloads with the server's rights into a private folder, then copies the result as the
// app's user.
func (j jail) fetcher(f builder.Fetcher) builder.Fetcher {
	if f == nil || j.uid == 0 {
		return f
	}
	return fetcher{f, filepath.Dir(j.box.Tmp)}
}

type fetcher struct {
	from builder.Fetcher
	dir  string // private to the server
}

func (f fetcher) Head(ctx context.Context, url, branch string) (commit string, err error) {
	onOtherThread(func() { commit, err = f.from.Head(ctx, url, branch) })
	return commit, err
}

func (f fetcher) Fetch(ctx context.Context, url, branch, dir string) (commit string, err error) {
	var fetched *os.Root
	onOtherThread(func() {
		var own string
		if own, err = os.MkdirTemp(f.dir, "fetched-"); err != nil {
			return
		}
		if err = os.Chmod(own, 0o755); err != nil { // the app's user opens it
			return
		}
		if commit, err = f.from.Fetch(ctx, url, branch, own); err == nil {
			fetched, err = os.OpenRoot(own)
		}
	})
	if err != nil {
		return commit, err
	}
	defer fetched.Close()
	return commit, os.CopyFS(dir, fetched.FS()) // on this thread, which has the app's rights
}

// toolchains works with the server's rights: no app may write what all others run.
func (j jail) toolchains(t builder.Toolchains) builder.Toolchains {
	if t == nil || j.uid == 0 {
		return t
	}
	return toolchains{t}
}

type toolchains struct{ from builder.Toolchains }

func (t toolchains) Versions(
	ctx context.Context, name string,
) (list []toolchain.Version, err error) {
	onOtherThread(func() { list, err = t.from.Versions(ctx, name) })
	return list, err
}

func (t toolchains) Stored(name string) (list []toolchain.Version) {
	onOtherThread(func() { list = t.from.Stored(name) })
	return list
}

func (t toolchains) Fetch(
	ctx context.Context, what volume.Toolchain, out io.Writer,
) (dir string, err error) {
	onOtherThread(func() { dir, err = t.from.Fetch(ctx, what, out) })
	return dir, err
}

// uid returns the app's user, or 0 for the server's.
func (l *Local) uid(app string) (int, error) {
	if !l.isolation.Users {
		return 0, nil
	}
	return l.Confined.User(app, confine.UIDInUse)
}

// resolved returns the paths, each followed by its target if a symbolic link leads there.
func resolved(paths ...string) (list []string) {
	for _, path := range paths {
		list = append(list, path)
		if target, err := filepath.EvalSymlinks(path); err == nil && target != path {
			list = append(list, target)
		}
	}
	return list
}

// homes returns the home folders of the server's user, by the environment and by the user database.
func homes() (list []string) {
	if home, err := os.UserHomeDir(); err == nil {
		list = append(list, home)
	}
	if u, err := user.Current(); err == nil {
		list = append(list, u.HomeDir)
	}
	return slices.DeleteFunc(list, func(home string) bool { return home == "" || home == "/" })
}
