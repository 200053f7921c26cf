package command

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"paas/access"
	"paas/backup"
	"paas/say"
	"paas/volume"
)

func restoreRows() []Row {
	return []Row{
		Stream[restoreInput, Progress]{
			Head: Head{
				Name: "restore", Group: Operate, Needs: access.Member,
				Example: "- blog --as blog-2 < blog.backup",
				Short:   "bring back an app, or a whole server where there are no apps; FILE - is standard input",
				More: "An app gets a name that is free; --as gives it another than it had. It is built again from its\n" +
					"commit, and goes live as by a push. A whole server stays paused until restore:activate, and so\n" +
					"does a copy of an app that is still here: two of them must not both send mail.",
			},
			Run:  restore,
			Text: printProgress,
		},
		Stream[activateInput, Progress]{
			Head: Head{
				Name: "restore:activate", Group: Operate, Needs: access.Manage,
				Example: "blog",
				Short:   "let an app run that came back from a backup, or all of them",
			},
			Run:  activateRestored,
			Text: printProgress,
		},
	}
}

type restoreInput struct {
	File       string `json:"file" arg:"FILE"`
	App        string `json:"app" arg:"[APP]"`
	As         string `json:"as" flag:"as" value:"NAME" help:"the name that the app gets"`
	Paused     bool   `json:"paused" flag:"paused" help:"let nothing of it run before restore:activate"`
	Identity   string `json:"identity" flag:"identity,i" value:"FILE" help:"the file of age-keygen that opens it; only on the server itself"`
	Passphrase bool   `json:"passphrase" flag:"passphrase" help:"open it with a passphrase, read from standard input"`
}

// needs asks for an admin for a whole server.
func (in *restoreInput) needs(*Call) access.Right {
	if in.App == "" && in.As == "" {
		return access.Admin
	}
	return access.Member
}

func restore(c *Call, in restoreInput, events Teller[Progress]) error {
	p := progress{events}
	for _, name := range []string{in.App, in.As} {
		if name != "" && volume.CheckName(name) != nil {
			return wrong("app", "%w", volume.CheckName(name))
		}
	}
	if name := cmp.Or(in.As, in.App); name != "" { // before a person waits for it
		if err := c.mayCreate(name); err != nil {
			return err
		}
	}
	key, err := c.key(in.Identity, in.Passphrase, in.File == "-")
	if err != nil {
		return err
	}
	file, err := c.openBackup(in.File)
	if err != nil {
		return err
	}
	defer file.Close()
	disk, err := c.Volume.Disk()
	if err != nil {
		return err
	}
	r, err := backup.Open(file, key, disk.Free-c.DiskSpace.MinFree)
	if err != nil {
		return c.backupFault(err)
	}
	defer r.Close()
	if r.Header.Server && in.App == "" && in.As == "" {
		return c.restoreServer(r, disk, p)
	}
	if in.App == "" && r.Header.Server {
		return wrong("app", "the backup has several apps; name one: %s", strings.Join(r.Header.Apps, ", "))
	}
	in.App = cmp.Or(in.App, r.Header.Apps[0])
	return c.restoreApp(r, disk, in, p)
}

// unpacker returns what reads backups that the caller may restore.
func (c *Call) unpacker(disk volume.Disk) backup.Unpacker {
	const spare = 1000 // files that the server needs for itself
	u := backup.Unpacker{Volume: c.Volume, Check: c.mayHave, MaxFiles: 1 << 40}
	if disk.FreeFilesCounts {
		u.MaxFiles = disk.FreeFiles - spare
	}
	return u
}

func (c *Call) restoreApp(r *backup.Reader, disk volume.Disk, in restoreInput, p progress) error {
	name := cmp.Or(in.As, in.App)
	if err := c.mayCreate(name); err != nil {
		return err
	}
	dir, err := c.Volume.TempDir()
	if err != nil {
		return err
	}
	defer c.Volume.RemoveTemp(dir)
	u, err := c.unpacker(disk).Unpack(c, r, dir, in.App, false)
	if err != nil {
		return c.backupFault(err)
	}
	app, err := c.create(name, backup.Place(dir, in.App))
	if err != nil {
		return err
	}
	c.did(app.Name, fmt.Sprintf("%s of %s", in.App, when(u.Header.Made)))
	c.tellUnpacked(u, app.Name, p)
	original, still := c.original(u.Apps[in.App].ID, app.Name)
	switch {
	case in.Paused:
		p.answer("it is paused; to let it run: %s", c.how("restore:activate", app.Name))
		return nil
	case still:
		p.note("%s is still here, and both would do the same work", original)
		p.answer("%s is paused; to let it run: %s", app.Name, c.how("restore:activate", app.Name))
		return nil
	case !c.serving() && u.Apps[in.App].Live > 0:
		p.answer("the server is not running; once it does: %s", c.how("restore:activate", app.Name))
		return nil
	}
	return c.activate(app.Name, p)
}

// original returns the name of the app of that identity, or of another copy of it, if the caller may see it.
func (c *Call) original(id, copied string) (name string, there bool) {
	names, _ := c.apps()
	for _, name := range names {
		if app, err := c.App(name); err == nil {
			if is, err := access.AppID(app); name != copied && (err == nil && is == id || app.Origin() == id) {
				return name, true
			}
		}
	}
	return "", false
}

func (c *Call) restoreServer(r *backup.Reader, disk volume.Disk, p progress) error {
	if err := c.noApps(); err != nil {
		return err
	}
	dir, err := c.Volume.TempDir()
	if err != nil {
		return err
	}
	defer c.Volume.RemoveTemp(dir)
	u, err := c.unpacker(disk).Unpack(c, r, dir, "", true)
	if err != nil {
		return c.backupFault(err)
	}
	if !c.Caller.IsLocal() { // an admin cannot make a token of nobody
		u.Access.Tokens = slices.DeleteFunc(u.Access.Tokens, func(t access.Token) bool { return t.Owner == "" })
	}
	if err := c.noApps(); err != nil { // made meanwhile
		return err
	}
	if err := backup.Commit(c.Volume, dir, u, c.Caller.IsLocal()); err != nil {
		return err
	}
	settled, err := backup.Settle(c.Volume, c.Keys)
	if err != nil {
		return err
	}
	c.did("", fmt.Sprintf("%d apps of %s", len(u.Apps), when(u.Header.Made)))
	c.tellUnpacked(u, "the server", p)
	for _, name := range settled.Here {
		p.note("%s was here already: the keys and tokens of the backup were left out", name)
	}
	switch {
	case !c.Caller.IsLocal():
		p.detail("only a restore on the server itself brings its host key, certificates and settings file")
	case settled.HostKey && c.Volume.Claimed(volume.RoleGit):
		p.detail("restart the server: it has the host key of the backup from then on")
	}
	if settled.Config {
		p.detail("the settings file of the backup is paas.yaml.restored; compare, then rename it")
	}
	p.answer("all apps are paused, their sources too; once the old server is off: %s",
		c.how("restore:activate", ""))
	return nil
}

// noApps fails if there are apps.
func (c *Call) noApps() error {
	names, err := c.Volume.Apps()
	if err == nil && len(names) > 0 {
		err = conflict("restore one app: "+c.how("restore", "FILE APP")+"; or start with an empty PAAS_ROOT",
			"there are apps here, and a whole server is restored where there are none")
	}
	return err
}

// tellUnpacked tells what a backup had.
func (c *Call) tellUnpacked(u *backup.Unpacked, what string, p progress) {
	p.step("Restored %s from %s: %d files, %s", what, when(u.Header.Made), u.End.Files, say.Bytes(u.End.Bytes))
	for _, note := range u.End.Notes {
		p.note("%s", plain(note))
	}
}

type activateInput struct {
	App string `json:"app" arg:"[APP]"`
}

// needs asks for an admin for all apps.
func (in *activateInput) needs(*Call) access.Right {
	if in.App == "" {
		return access.Admin
	}
	return access.Manage
}

func activateRestored(c *Call, in activateInput, events Teller[Progress]) error {
	p := progress{events}
	if in.App != "" {
		return c.activate(in.App, p)
	}
	count := 0
	var failed []string
	err := c.eachApp("", func(app volume.App) error {
		_, waits, err := app.Restored()
		if err != nil || !waits {
			return err
		}
		count++
		if err := c.activate(app.Name, p); err != nil {
			if c.Err() != nil {
				return c.Err()
			}
			failed = append(failed, app.Name)
			p.note("%s: %v", app.Name, AsFault(err))
		}
		return nil
	})
	switch {
	case err != nil:
		return err
	case len(failed) > 0:
		return &Fault{
			Kind: Failed, Err: fmt.Errorf("%d of %d apps do not run: %s", len(failed), count, strings.Join(failed, ", ")),
			Next: "put it right, then again: " + c.how("restore:activate", failed[0]),
		}
	case count == 0:
		p.answer("no app waits")
	}
	return nil
}
