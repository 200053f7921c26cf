package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"paas/access"
	"paas/durable"
	"paas/git"
	"paas/say"
	"paas/volume"
)

// Unpacker reads an archive into a folder, as apps that are not there yet.
type Unpacker struct {
	Volume *volume.Volume
	// Check returns an error if the one who restores may not have an app with that. It is asked before
	// anything of the app is written, and for the settings of each release.
	Check func(volume.Settings, volume.Wanted, *volume.Source) error

	// MaxFiles is how many files, folders and links may be written.
	MaxFiles int64

	reached func(where string) // tests; nil: nothing
}

// Unpacked is what was read.
type Unpacked struct {
	Header Header
	End    End
	Apps   map[string]App // by name
	Access access.Export  // of a whole server
}

// The places in the folder.
const (
	stagedApps    = "apps"
	stagedCerts   = "certs"
	stagedHostKey = "host_key"
	stagedConfig  = "paas.yaml"
	stagedAccess  = "access.json"
)

// Unpack reads r to its end into dir, a folder made by [volume.Volume.TempDir]: what is of the app
// called only, or all if that is empty. If own, the apps keep their identities. It blocks until all
// is on disk. After an error, dir has a part.
func (u Unpacker) Unpack(ctx context.Context, r *Reader, dir, only string, own bool) (*Unpacked, error) {
	if only != "" && !slices.Contains(r.Header.Apps, only) {
		return nil, fmt.Errorf("the backup has no app %s; it has %s", only, strings.Join(r.Header.Apps, ", "))
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	p := &unpacking{
		Unpacker: u, r: r, dir: dir, root: root, only: only, own: own,
		out: Unpacked{Header: r.Header, Apps: map[string]App{}}, buffer: make([]byte, 256<<10),
	}
	defer p.leave()
	if err := root.Mkdir(stagedApps, 0o700); err != nil {
		return nil, err
	}
	for ended := false; ; {
		e, err := r.next()
		if err == io.EOF && ended {
			break
		}
		if err == io.EOF {
			return nil, fmt.Errorf("%w: it has no end", ErrTorn)
		}
		switch {
		case err != nil:
		case p.entries >= u.MaxFiles:
			err = ErrTooLarge
		case ended:
			err = odd("%.80q follows its end", e.Name)
		case e.Name == endName:
			ended, err = true, r.facts(&p.out.End)
		default:
			p.entries++
			err = p.take(ctx, e)
		}
		if err = errors.Join(err, ctx.Err()); err != nil {
			return nil, torn(err)
		}
	}
	if err := p.endPack(); err != nil {
		return nil, torn(err)
	}
	return &p.out, p.finish()
}

// unpacking is the state of one Unpack.
type unpacking struct {
	Unpacker
	r      *Reader
	dir    string
	root   *os.Root // of dir
	only   string
	own    bool
	out    Unpacked
	buffer []byte

	entries int64

	app      string // the one that is read now
	releases map[int]bool
	live     *Release // of the app that is read now
	tree     *os.Root // the folder of the app that files go to
	treeName string
	pack     *packing
}

// packing is a pack on its way to git.
type packing struct {
	name string
	next int
	to   *io.PipeWriter
	done chan error
}

func (p *unpacking) leave() {
	if p.tree != nil {
		p.tree.Close()
	}
	if p.pack != nil {
		p.pack.to.CloseWithError(io.ErrUnexpectedEOF)
		<-p.pack.done
		p.pack = nil
	}
}

// take reads one entry.
func (p *unpacking) take(ctx context.Context, e entry) error {
	if p.pack != nil && path.Dir(e.Name) != p.pack.name {
		if err := p.endPack(); err != nil {
			return err
		}
	}
	top, rest := e.path[0], e.path[1:]
	switch {
	case top == "server":
		return p.server(e, strings.Join(rest, "/"))
	case top != "apps" || len(rest) < 2 || !slices.Contains(p.out.Header.Apps, rest[0]):
		return odd("%.80q is nothing that a backup has", e.Name)
	case p.only != "" && rest[0] != p.only:
		return nil
	}
	name, part, below := rest[0], rest[1], rest[2:]
	if part == "app.json" && len(below) == 0 {
		return p.begin(e, name)
	}
	if name != p.app {
		return odd("%.80q is not in its place", e.Name)
	}
	switch {
	case part == "releases" && len(below) == 1:
		return p.release(e, below[0])
	case (part == "repo.pack" || part == "source.pack") && len(below) == 1:
		return p.piece(ctx, e, part, below[0])
	case part == "credentials" && len(below) == 1:
		return p.credential(e, below[0])
	case part == "data" || part == "storage" || part == "logs":
		return p.file(e, part, below)
	}
	return odd("%.80q is nothing that a backup has", e.Name)
}

func (e entry) isFile() bool { return !e.dir && !e.link }

// begin reads the facts of the next app.
func (p *unpacking) begin(e entry, name string) error {
	if _, twice := p.out.Apps[name]; twice || !e.isFile() {
		return odd("%.80q is not in its place", e.Name)
	}
	if err := p.endApp(); err != nil {
		return err
	}
	var a App
	if err := p.r.facts(&a); err != nil {
		return err
	}
	a.ID = strings.TrimSpace(a.ID)
	for other, b := range p.out.Apps {
		if b.ID == a.ID {
			return odd("%s and %s have one identity", name, other)
		}
	}
	if !appID.MatchString(a.ID) || a.Live < 0 {
		return odd("%s has no identity", name)
	}
	if a.Source != nil {
		a.Source.ByEnvironment = false
	}
	if err := p.Check(a.Settings, a.Wanted, a.Source); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	p.app, p.releases, p.live = name, map[int]bool{}, nil
	p.out.Apps[name] = a
	home := path.Join(stagedApps, name)
	if err := p.root.Mkdir(home, 0o700); err != nil {
		return err
	}
	for _, folder := range []string{"data", "storage", "logs"} {
		if err := p.root.Mkdir(path.Join(home, folder), 0o755); err != nil {
			return err
		}
		if err := p.root.Chmod(path.Join(home, folder), 0o755); err != nil {
			return err
		}
	}
	return p.root.Mkdir(path.Join(home, "releases"), 0o755)
}

// endApp completes the app that was read.
func (p *unpacking) endApp() error {
	if p.tree != nil {
		p.tree.Close()
		p.tree = nil
	}
	if p.app == "" {
		return nil
	}
	a := p.out.Apps[p.app]
	if a.Live > 0 && p.live == nil {
		return odd("%s has no release v%d, which was live", p.app, a.Live)
	}
	back := volume.Restored{
		At: time.Now().UTC(), Backup: p.out.Header.Made, Live: a.Live, Names: a.Wanted.Names,
		Stopped: a.Live > 0 && a.Wanted.Stopped == a.Live, Settings: a.Settings, Source: a.Source,
	}
	s := volume.Staged{Settings: a.Settings, Wanted: a.Wanted, Restored: back}
	if p.live != nil {
		s.Settings = p.live.Settings
	}
	if p.own {
		s.ID = a.ID
	} else {
		s.Origin = a.ID
	}
	// what was asked for at that time, and host names, which may be another app's by now
	s.Wanted.Stopped, s.Wanted.Restarts, s.Wanted.Wake, s.Wanted.Cron = 0, nil, "", volume.CronRequest{}
	s.Wanted.Names = volume.Names{}
	return p.Volume.Stage(filepath.Join(p.dir, stagedApps, p.app), s)
}

func (p *unpacking) release(e entry, file string) error {
	if !numbers.MatchString(file) || !e.isFile() {
		return odd("%.80q is no release", e.Name)
	}
	n, _ := strconv.Atoi(strings.TrimSuffix(file, ".json"))
	var r Release
	if err := p.r.facts(&r); err != nil {
		return err
	}
	switch {
	case r.N != n || p.releases[n]:
		return odd("%.80q is of v%d", e.Name, r.N)
	case r.Commit != "" && !commits.MatchString(r.Commit), r.Build != "" && !buildID.MatchString(r.Build),
		r.Of < 0 || r.Of >= n:
		return odd("%.80q is no release", e.Name)
	}
	if err := p.Check(r.Settings, volume.Wanted{}, nil); err != nil {
		return fmt.Errorf("v%d of %s: %w", n, p.app, err)
	}
	for _, text := range []*string{&r.Branch, &r.Subject, &r.By, &r.Cause, &r.Note} {
		*text = say.Plain(*text, 200)
	}
	r.Settings.ConfigAfter, r.Wanted = 0, volume.Wanted{}
	status := volume.Status{
		State: volume.Retired, At: r.Status.At, Proved: r.Status.Proved,
		Reason: say.Plain(r.Status.Reason, 500), Hint: say.Plain(r.Status.Hint, 500),
	}
	switch r.Status.State {
	case volume.Live, volume.Retired:
	case volume.Failed, volume.Cancelled:
		status.State = r.Status.State
	default:
		status.State, status.Reason = volume.Cancelled, "it was under way when the backup was made"
	}
	p.releases[n] = true
	if n == p.out.Apps[p.app].Live {
		p.live = &r
		status.State = volume.Retired
	}
	return p.Volume.StageRelease(filepath.Join(p.dir, stagedApps, p.app), r.Release, status)
}

// piece hands a piece of a pack to git.
func (p *unpacking) piece(ctx context.Context, e entry, part, index string) error {
	if !indexes.MatchString(index) || !e.isFile() || e.Size > piece {
		return odd("%.80q is no piece of a pack", e.Name)
	}
	if p.pack == nil {
		if index != "000000" {
			return odd("%.80q is not in its place", e.Name)
		}
		if err := p.beginPack(ctx, path.Dir(e.Name), part); err != nil {
			return err
		}
	}
	if n, _ := strconv.Atoi(index); n != p.pack.next {
		return odd("%.80q is not in its place", e.Name)
	}
	p.pack.next++
	_, err := io.CopyBuffer(onlyWriter{p.pack.to}, p.r.tar, p.buffer)
	if errors.Is(err, errPackDone) { // git has ended: its reason says more
		return p.endPack()
	}
	return err
}

var errPackDone = errors.New("git reads no more")

func (p *unpacking) beginPack(ctx context.Context, name, part string) error {
	dir := filepath.Join(p.dir, stagedApps, p.app, strings.TrimSuffix(part, ".pack")+".git")
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	if err := git.Init(dir, "main"); err != nil {
		return err
	}
	in, out := io.Pipe()
	p.pack = &packing{name: name, to: out, done: make(chan error, 1)}
	limit := p.r.plain.left
	go func(done chan error) {
		err := git.Repo{Dir: dir}.TakePack(ctx, in, limit)
		in.CloseWithError(errPackDone)
		done <- err
	}(p.pack.done)
	return nil
}

func (p *unpacking) endPack() error {
	if p.pack == nil {
		return nil
	}
	p.pack.to.Close()
	err := <-p.pack.done
	p.pack = nil
	var failed *git.Error
	if errors.As(err, &failed) && !errors.Is(err, syscall.ENOSPC) {
		err = odd("the repository of %s: %v", p.app, err)
	}
	return err
}

func (p *unpacking) credential(e entry, name string) error {
	if !slices.Contains(credentials, volume.Credential(name)) || !e.isFile() {
		return odd("%.80q is no credential", e.Name)
	}
	content, err := p.r.content(64 << 10)
	if err != nil {
		return err
	}
	dir := path.Join(stagedApps, p.app, "restored", "credentials")
	if err := p.root.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	return p.root.WriteFile(path.Join(dir, name), content, 0o600)
}

// file writes a file, folder or link of the app.
func (p *unpacking) file(e entry, part string, below []string) error {
	if len(below) == 0 {
		if !e.dir {
			return odd("%.80q is no folder", e.Name)
		}
		return nil // it is there
	}
	if key := p.app + "/" + part; p.tree == nil || p.treeName != key {
		if p.tree != nil {
			p.tree.Close()
		}
		var err error
		// its own root, so that a link in it leads nowhere else
		if p.tree, err = p.root.OpenRoot(path.Join(stagedApps, p.app, part)); err != nil {
			return err
		}
		p.treeName = key
	}
	return p.put(p.tree, e, path.Join(below...))
}

// put writes e as name below root.
func (p *unpacking) put(root *os.Root, e entry, name string) error {
	const rwx = 0o777
	mode := fs.FileMode(e.Mode) & rwx
	switch {
	case e.dir:
		if err := root.Mkdir(name, 0o700); err != nil {
			return p.inArchive(e, err)
		}
		return root.Chmod(name, mode|0o700) // else nothing could be written into it
	case e.link:
		return p.inArchive(e, root.Symlink(e.Linkname, name))
	}
	f, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return p.inArchive(e, err)
	}
	_, err = io.CopyBuffer(onlyWriter{f}, p.r.tar, p.buffer)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err = errors.Join(err, f.Close()); err == nil && !e.ModTime.IsZero() {
		err = root.Chtimes(name, e.ModTime, e.ModTime)
	}
	if p.reached != nil {
		p.reached(e.Name)
	}
	return err
}

// inArchive names the archive as the reason, unless the disk is.
func (p *unpacking) inArchive(e entry, err error) error {
	if err == nil || errors.Is(err, syscall.ENOSPC) {
		return err
	}
	return odd("%.80q cannot be written: %v", e.Name, errors.Unwrap(err))
}

// server reads what is of no app.
func (p *unpacking) server(e entry, name string) error {
	if !p.out.Header.Server {
		return odd("%.80q is in the backup of an app", e.Name)
	}
	if p.only != "" {
		return nil
	}
	part, below, _ := strings.Cut(name, "/")
	switch {
	case name == "access.json" && e.isFile():
		if err := p.r.facts(&p.out.Access); err != nil {
			return err
		}
		if err := p.out.Access.Check(); err != nil {
			return odd("%v", err)
		}
		return nil
	case name == "host_key" && e.isFile(), name == "paas.yaml" && e.isFile():
		content, err := p.r.content(1 << 20)
		if err != nil {
			return err
		}
		if name == "host_key" {
			return p.root.WriteFile(stagedHostKey, content, 0o600)
		}
		return p.root.WriteFile(stagedConfig, content, 0o600)
	case part == "certs" && e.dir && strings.Count(below, "/") == 0:
		err := p.root.Mkdir(path.Join(stagedCerts, below), 0o700)
		return err
	case part == "certs" && e.isFile() && strings.HasPrefix(path.Base(name), "."),
		part == "certs" && e.isFile() && strings.HasSuffix(name, ".new"):
		return nil // being written when the backup was made
	case part == "certs" && e.isFile() && certs.MatchString(below) && e.Size <= 1<<20:
		e.Mode = 0o600
		return p.put(p.root, e, path.Join(stagedCerts, below))
	}
	return odd("%.80q is nothing that a backup has", e.Name)
}

// finish completes what was read, once all was.
func (p *unpacking) finish() error {
	if err := p.endApp(); err != nil {
		return err
	}
	for name := range p.out.Apps {
		if !slices.Contains(p.out.End.Apps, name) { // it was destroyed while the backup was made
			if err := os.RemoveAll(filepath.Join(p.dir, stagedApps, name)); err != nil {
				return err
			}
			delete(p.out.Apps, name)
		}
	}
	for _, name := range p.out.End.Apps {
		if _, there := p.out.Apps[name]; !there && (p.only == "" || p.only == name) {
			return odd("%.80q is not in it", name)
		}
	}
	if _, there := p.out.Apps[p.only]; p.only != "" && !there {
		return fmt.Errorf("%s was destroyed while the backup was made", p.only)
	}
	for i, note := range p.out.End.Notes {
		p.out.End.Notes[i] = say.Plain(note, 300)
	}
	return durable.Flush(p.dir)
}
