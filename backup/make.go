package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"paas/access"
	"paas/git"
	"paas/volume"
)

// Maker writes archives.
type Maker struct {
	Volume *volume.Volume
	Keys   *access.Keys // for a whole server

	// Dump lets an app write what it has elsewhere, such as a database, into its files first. An error
	// ends the backup of an app; that of a server goes on, for one app must not keep the others from
	// it, and has the app in [End]. nil: nothing does.
	Dump func(ctx context.Context, app volume.App) error
	// Waiting is called if the turn of an app is another's; it may be nil.
	Waiting func(app, holder string)
	// Who names the caller, for others who wait for the turn: "alice's backup".
	Who string

	reached func(where string) // tests; nil: nothing
}

// What is what an archive has.
type What struct {
	App  string // empty: the whole server
	Logs bool   // those of the apps too
}

// Write writes an archive to out. It blocks until all is written, or ctx ends, or out fails: then the
// archive is torn, and cannot be restored. Apps run and deploy meanwhile. It takes the turn of each
// app for a moment.
func (m Maker) Write(ctx context.Context, out io.Writer, what What, lock Lock) (End, error) {
	names := []string{what.App}
	if what.App == "" {
		var err error
		if names, err = m.Volume.Apps(); err != nil {
			return End{}, err
		}
	}
	sealed, closeSeal, err := seal(out, lock)
	if err != nil {
		return End{}, err
	}
	w := newWriter(sealed)
	w.end.Apps = []string{}
	header := Header{Format: Format, Made: time.Now().UTC(), Server: what.App == "", Apps: names}
	err = w.json(headerName, header)
	for _, name := range names {
		if err == nil {
			err = m.app(ctx, w, name, what)
		}
	}
	if err == nil && what.App == "" {
		err = m.server(ctx, w)
	}
	if err == nil {
		err = w.json(endName, w.end)
	}
	if err == nil {
		err = w.tar.Close()
	}
	if err != nil { // it stays torn: the end of the compression is not written
		return w.end, err
	}
	return w.end, closeSeal()
}

// app writes one app. Of a whole server, one that is destroyed meanwhile is left out.
func (m Maker) app(ctx context.Context, w *writer, name string, what What) error {
	app, err := m.Volume.App(name)
	if err == nil {
		err = m.facts(ctx, w, app, what)
	}
	switch {
	case err == nil:
		w.end.Apps = append(w.end.Apps, name)
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	}
	if _, gone := m.Volume.App(name); what.App == "" && errors.Is(gone, volume.ErrNoApp) {
		if now, renamed := m.Volume.NewName(name); renamed {
			return fmt.Errorf("%s became %s during the backup; start it again", name, now)
		}
		w.note("%s was destroyed during the backup, and is not in it", name)
		return nil
	}
	return fmt.Errorf("%s: %w", name, err)
}

// moment is what an app was while the backup had its turn.
type moment struct {
	App
	last int
	open map[int]volume.Status // of the live release and those after it
}

func (m Maker) facts(ctx context.Context, w *writer, app volume.App, what What) error {
	if m.Dump != nil {
		err := m.Dump(ctx, app)
		if err != nil && (what.App != "" || ctx.Err() != nil) {
			return err
		}
		if err != nil {
			first, _, _ := strings.Cut(err.Error(), "\n")
			w.note("%s: %s; its files are in the backup as they were", app.Name, first)
			w.end.Undumped = append(w.end.Undumped, app.Name)
		}
	}
	now, err := m.look(ctx, app)
	if err != nil {
		return err
	}
	// Open before anything is written: a rename does not matter from here on.
	home, err := os.OpenRoot(app.Dir())
	if err != nil {
		return err
	}
	defer home.Close()
	files, done, reading, err := m.snapshot(ctx, w, app, home)
	if err != nil {
		return err
	}
	defer done()
	now.Data = reading
	at := "apps/" + app.Name
	if err := w.json(at+"/app.json", now.App); err != nil {
		return err
	}
	commits, err := m.releases(ctx, w, app, now)
	if err != nil {
		return err
	}
	for _, repo := range []struct{ name, dir string }{
		{"repo.pack", app.Repo()}, {"source.pack", app.SourceRepo()},
	} {
		if err := pack(ctx, w, at+"/"+repo.name, repo.dir, commits); err != nil {
			return err
		}
	}
	if now.Source != nil {
		for _, which := range credentials {
			content, err := m.Volume.Credentials(app.Name).Get(which)
			if err == nil && content != nil {
				err = w.small(at+"/credentials/"+string(which), content)
			}
			if err != nil {
				return err
			}
		}
	}
	for _, folder := range []string{"data", "storage"} {
		if err := m.folder(ctx, w, at+"/"+folder, files, folder); err != nil {
			return err
		}
	}
	if what.Logs {
		if err := m.folder(ctx, w, at+"/logs", home, "logs"); err != nil {
			return err
		}
	}
	if m.reached != nil {
		m.reached(app.Name)
	}
	if !app.Exists() {
		return volume.ErrNoApp
	}
	return nil
}

// credentials are all that an app can have.
var credentials = []volume.Credential{
	volume.SourceToken, volume.SourceKey, volume.SourceKnownHosts, volume.SourceWebhook,
}

// look reads the app's facts in its turn, so that all are of one moment.
func (m Maker) look(ctx context.Context, app volume.App) (now moment, err error) {
	done, err := app.Turn(ctx, m.Who, func(holder string) {
		if m.Waiting != nil {
			m.Waiting(app.Name, holder)
		}
	})
	if err != nil {
		return now, err
	}
	defer done()
	var follows bool
	var source volume.Source
	id, err := app.Identity()
	if err == nil {
		now.Settings, err = app.Settings()
	}
	if err == nil {
		now.Wanted, err = app.Wanted()
	}
	if err == nil {
		source, follows, err = app.Source()
	}
	if err == nil {
		now.last, err = app.Last()
	}
	if err != nil {
		return now, err
	}
	now.ID, now.Live = id, app.Live()
	if follows && !source.ByEnvironment {
		now.Source = &source
	}
	now.open = map[int]volume.Status{}
	for n := max(now.Live, 1); n <= now.last; n++ {
		if s, err := app.Status(n); err == nil {
			now.open[n] = s
		}
	}
	return now, nil
}

// releases writes the app's releases, newest first, and returns their commits.
func (m Maker) releases(
	ctx context.Context, w *writer, app volume.App, now moment,
) (commits []string, err error) {
	known := map[string]bool{}
	for n, err := range app.Back(now.last) {
		if err = errors.Join(err, ctx.Err()); err != nil {
			return nil, err
		}
		r, err := app.Release(n)
		if volume.IsDamage(err) {
			w.note("v%d of %s is not in the backup: %v", n, app.Name, err)
			continue
		}
		if err != nil {
			return nil, err
		}
		s, there := now.open[n]
		if !there {
			if s, err = app.Status(n); err != nil {
				return nil, err
			}
		}
		if err := w.json(fmt.Sprintf("apps/%s/releases/%d.json", app.Name, n), Release{r, s}); err != nil {
			return nil, err
		}
		if r.Commit != "" && !known[r.Commit] {
			known[r.Commit] = true
			commits = append(commits, r.Commit)
		}
	}
	return commits, nil
}

func pack(ctx context.Context, w *writer, name, dir string, commits []string) error {
	repo := git.Repo{Dir: dir}
	if err := repo.Check(); errors.Is(err, fs.ErrNotExist) {
		return nil
	} else if err != nil {
		return err
	}
	p := &pieces{to: w, name: name}
	if err := repo.Pack(ctx, slices.Clone(commits), p); err != nil {
		return err
	}
	return p.flush()
}

// folder writes a folder of home, if it is there.
func (m Maker) folder(ctx context.Context, w *writer, name string, home *os.Root, folder string) error {
	if info, err := home.Lstat(folder); err != nil || !info.IsDir() {
		return nil
	}
	sub, err := home.OpenRoot(folder)
	if err != nil {
		return err
	}
	defer sub.Close()
	return w.tree(ctx, name, sub, 0)
}

// server writes what is of no app.
func (m Maker) server(ctx context.Context, w *writer) error {
	if m.Keys != nil {
		export, err := m.Keys.Export()
		if err != nil {
			return err
		}
		if err := w.json("server/access.json", export); err != nil {
			return err
		}
	}
	for name, file := range map[string]string{
		"server/host_key":  filepath.Join(m.Volume.Root, "ssh", "host_ed25519"),
		"server/paas.yaml": filepath.Join(m.Volume.Root, "paas.yaml"),
	} {
		content, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil {
			err = w.small(name, content)
		}
		if err != nil {
			return err
		}
	}
	dir := filepath.Join(m.Volume.Root, "certs")
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer root.Close()
	return w.tree(ctx, "server/certs", root, 0)
}
