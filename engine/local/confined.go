package local

import (
	"cmp"
	"context"
	"errors"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strings"

	"paas/builder"
	"paas/engine"
	"paas/engine/local/child"
	"paas/engine/local/confine"
	"paas/engine/local/firewall"
)

// Confined is what keeps apps apart from each other and from the server.
type Confined struct {
	Isolation confine.Isolation                     // what is put in force; zero: nothing
	User      func(app string) (uid int, err error) // the app's user, where Isolation.Users
	Read      []string                              // folders that all apps may read besides what any user may
	Write     []string                              // and write

	Firewall *firewall.Firewall // of apps that have users of their own; nil: none
	Open     []string           // what apps can do all the same that they must not, for people
}

// FirstPort and LastPort are the range of ports that web processes are given.
const FirstPort, LastPort = firstPort, lastPort

// Isolation is as [engine.Engine.Isolation].
func (l *Local) Isolation() engine.Isolation {
	list := []string{l.Confined.Isolation.String(), l.Limiting(), l.Checking()}
	if l.Confined.Firewall != nil {
		list = append(list, "own ports only, by nftables")
	}
	if open := l.Confined.Open; len(open) > 0 {
		list = append(list, "open to apps: "+strings.Join(open, ", "))
	}
	i := engine.Isolation{By: strings.Join(list, "; "), Open: l.Confined.Open}
	if !l.Confined.Isolation.Any() {
		i.Missing = cmp.Or(l.Confined.Isolation.Missing, "no isolation")
	}
	return i
}

// room is what one process, or one build, is confined to. It is left when that has ended.
type room struct {
	uid   int                 // 0: the server's own
	under []child.Confinement // none where nothing is in force
	env   map[string]string
	box   confine.Box
	leave func()
}

// confine makes a room for something of the app's that is at home in the folder home, from where it
// may read and write these folders. tree is the app's sources; empty: none.
func (l *Local) confine(app, tree, home string, read []string, write ...string) (room, error) {
	c := l.Confined
	r := room{leave: func() {}}
	if !c.Isolation.Any() {
		return r, nil
	}
	var err error
	if r.uid, err = c.uid(app); err != nil {
		return r, err
	}
	if c.Firewall != nil {
		if err := c.Firewall.Guard(r.uid); err != nil {
			return r, err
		}
	}
	own, err := os.MkdirTemp(l.scratch(), "")
	if err != nil {
		return r, err
	}
	r.leave = func() { os.RemoveAll(own) }
	box := &confine.Box{
		Isolation: c.Isolation, UID: r.uid, Hide: l.hidden, Read: slices.Concat(c.Read, read, l.tools), Tmp: filepath.Join(own, "tmp"),
	}
	for _, dir := range write {
		if dir != "" {
			box.Write = append(box.Write, dir)
		}
	}
	if err = os.Mkdir(box.Tmp, 0o700); err == nil && c.Isolation.Users {
		err = l.give(r.uid, append(box.Write, box.Tmp)...)
	}
	if err == nil && c.Isolation.Users {
		box.Replace, err = confine.Users(own, app, r.uid, home)
	}
	if err == nil && c.Isolation.Sandboxes {
		var sandbox *confine.Sandbox
		if sandbox, err = l.launcher.Sandbox(app); err == nil {
			box.In(sandbox)
			r.leave = func() {
				sandbox.Leave()
				os.RemoveAll(own)
			}
		}
	}
	if err != nil {
		r.leave()
		return r, err
	}
	if !c.Isolation.Users && !c.Isolation.Sandboxes {
		r.env = map[string]string{"TMPDIR": box.Tmp}
		if tree != "" {
			box.Write = append(box.Write, insisted(tree)...)
		}
	}
	for _, path := range c.Write {
		if _, err := os.Stat(path); err == nil {
			box.Write = append(box.Write, path)
		}
	}
	r.box, r.under = *box, []child.Confinement{box}
	return r, nil
}

// give gives folders to an app's user, one app after the other: two at once would meet what a
// process that the first has let start makes of them.
func (l *Local) give(uid int, folders ...string) (err error) {
	l.owning.Lock()
	defer l.owning.Unlock()
	for _, dir := range folders {
		err = errors.Join(err, confine.Own(dir, uid))
	}
	return err
}

// scratch is where the /tmp of each process is.
func (l *Local) scratch() string { return filepath.Join(l.Root, "scratch") }

// openScratch makes it, without what an earlier life of the server left there. What cannot be
// removed, folders nested deeper than files may be open, say, keeps no server from starting.
func (l *Local) openScratch() error {
	if err := os.RemoveAll(l.scratch()); err != nil {
		l.Log.Error("not removed; it can go by hand while the server is down", "path", l.scratch(), "err", err)
	}
	return os.MkdirAll(l.scratch(), 0o700)
}

// as runs f with the app's rights to files, where the app sees them and in what else of the app's
// folder those rights reach. That is one mount, so that builds can share the contents of files with
// the cache: a hard link leads from no mount to another, be they of the same disk.
func (r room) as(f func() error, folder string, read ...string) error {
	r.box.Write = append(slices.Clone(r.box.Write), folder)
	r.box.Read = slices.Concat(r.box.Read, read)
	return r.box.As(f)
}

// folders are those of the server that a list of buildpacks names.
func folders(buildpacks string) (list []string) {
	packs, _ := builder.ParseBuildpacks(buildpacks) // the build says what is wrong with it
	for _, p := range packs {
		if p.OnServer() {
			list = append(list, p.Folder)
		}
	}
	return list
}

// fetcher has f work with the server's rights, which it needs, where the app does not reach, and
// gives the app what came.
func (r room) fetcher(f builder.Fetcher) builder.Fetcher {
	if f == nil || r.uid == 0 {
		return f
	}
	return fetcher{f, filepath.Dir(r.box.Tmp)}
}

type fetcher struct {
	from builder.Fetcher
	dir  string // the server's alone
}

func (f fetcher) Head(ctx context.Context, url, branch string) (commit string, err error) {
	elsewhere(func() { commit, err = f.from.Head(ctx, url, branch) })
	return commit, err
}

func (f fetcher) Fetch(ctx context.Context, url, branch, dir string) (commit string, err error) {
	var came *os.Root
	elsewhere(func() {
		var own string
		if own, err = os.MkdirTemp(f.dir, "fetched-"); err != nil {
			return
		}
		if err = os.Chmod(own, 0o755); err != nil { // the app's rights are to open it
			return
		}
		if commit, err = f.from.Fetch(ctx, url, branch, own); err == nil {
			came, err = os.OpenRoot(own)
		}
	})
	if err != nil {
		return commit, err
	}
	defer came.Close()
	return commit, os.CopyFS(dir, came.FS()) // on the thread that has the app's rights
}

// uid is the app's user; 0: the server's own.
func (c Confined) uid(app string) (int, error) {
	if !c.Isolation.Users {
		return 0, nil
	}
	return c.User(app)
}

// real are the paths, and what they are without links: Landlock knows folders, whatever they are
// called.
func real(paths ...string) (list []string) {
	for _, path := range paths {
		list = append(list, path)
		if whole, err := filepath.EvalSymlinks(path); err == nil && whole != path {
			list = append(list, whole)
		}
	}
	return list
}

// homes are where the server's user keeps what is theirs: as the environment says, and as the
// machine does.
func homes() (list []string) {
	if home, err := os.UserHomeDir(); err == nil {
		list = append(list, home)
	}
	if u, err := user.Current(); err == nil {
		list = append(list, u.HomeDir)
	}
	return slices.DeleteFunc(list, func(home string) bool { return home == "" || home == "/" })
}
