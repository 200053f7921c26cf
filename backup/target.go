package backup

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"paas/durable"
)

// Target is where backups are kept.
type Target interface {
	// Put stores what write writes under a name, whole or not at all.
	Put(ctx context.Context, name string, write func(io.Writer) error) error
	Open(ctx context.Context, name string) (io.ReadCloser, error) // the error matches [fs.ErrNotExist] if there is none
	List(ctx context.Context) ([]Stored, error)
	Remove(ctx context.Context, name string) error // of one that is not there is harmless
}

// Stored is a file at a target.
type Stored struct {
	Name  string
	Bytes int64
}

// Kept is a backup at a target.
type Kept struct {
	Name  string    `json:"name"`
	App   string    `json:"app,omitempty"` // empty: the whole server
	Made  time.Time `json:"made"`
	Bytes int64     `json:"bytes"`
}

const (
	extension  = ".backup"
	sumEnding  = ".sha256"
	timeLayout = "20060102T150405Z"
	whole      = "paas" // no app can have that name
)

var keptName = regexp.MustCompile(`^([a-z][a-z0-9-]{0,62})-([0-9]{8}T[0-9]{6}Z)\.backup$`)

// IsKept reports whether a backup at a target can have that name.
func IsKept(name string) bool { return keptName.MatchString(name) }

// List returns the backups at a target, oldest first. Other files there are left out.
func List(ctx context.Context, t Target) (all []Kept, err error) {
	files, err := t.List(ctx)
	for _, f := range files {
		parts := keptName.FindStringSubmatch(f.Name)
		if parts == nil {
			continue
		}
		made, timeErr := time.Parse(timeLayout, parts[2])
		if timeErr != nil {
			continue
		}
		k := Kept{Name: f.Name, App: parts[1], Made: made, Bytes: f.Bytes}
		if k.App == whole {
			k.App = ""
		}
		all = append(all, k)
	}
	slices.SortStableFunc(all, func(a, b Kept) int { return a.Made.Compare(b.Made) })
	return all, err
}

// Store writes a backup to a target, and its checksum beside it, in the format of sha256sum. Then it
// reads it again, if the target is a folder: a disk may lie. An object store compares the checksum of
// what it gets itself.
func (m Maker) Store(ctx context.Context, t Target, what What, lock Lock) (k Kept, end End, err error) {
	k = Kept{App: what.App, Made: time.Now().UTC().Truncate(time.Second)}
	name := what.App
	if name == "" {
		name = whole
	}
	for ; ; k.Made = k.Made.Add(time.Second) { // names are unique
		k.Name = name + "-" + k.Made.Format(timeLayout) + extension
		f, err := t.Open(ctx, k.Name)
		if errors.Is(err, fs.ErrNotExist) {
			break
		}
		if err != nil {
			return k, end, err
		}
		f.Close()
	}
	sum := &summing{hash: sha256.New()}
	err = t.Put(ctx, k.Name, func(w io.Writer) (err error) {
		sum.to = w
		end, err = m.Write(ctx, sum, what, lock)
		return err
	})
	k.Bytes = sum.bytes
	if err == nil {
		err = t.Put(ctx, k.Name+sumEnding, func(w io.Writer) error {
			_, err := fmt.Fprintf(w, "%s  %s\n", hex.EncodeToString(sum.hash.Sum(nil)), k.Name)
			return err
		})
	}
	if _, ok := t.(Folder); ok && err == nil {
		_, err = Verify(ctx, t, k.Name, Key{}, true)
	}
	if err != nil {
		err = errors.Join(err, remove(context.WithoutCancel(ctx), t, k.Name))
	}
	return k, end, err
}

// summing passes on what is written to it.
type summing struct {
	to    io.Writer
	hash  hash.Hash
	bytes int64
}

func (s *summing) Write(b []byte) (int, error) {
	n, err := s.to.Write(b)
	s.hash.Write(b[:n])
	s.bytes += int64(n)
	return n, err
}

// remove removes a backup and its checksum.
func remove(ctx context.Context, t Target, name string) error {
	return errors.Join(t.Remove(ctx, name), t.Remove(ctx, name+sumEnding))
}

// Prune removes the oldest backups of an app, or of the whole server if app is empty, until keep are
// left. It returns their names.
func Prune(ctx context.Context, t Target, app string, keep int) (removed []string, err error) {
	all, err := List(ctx, t)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(k Kept) bool { return k.App != app })
	for _, k := range all[:max(0, len(all)-keep)] {
		if err := remove(ctx, t, k.Name); err != nil {
			return removed, err
		}
		removed = append(removed, k.Name)
	}
	return removed, nil
}

// Verified is what is known of a backup that was read to its end.
type Verified struct {
	Sum  bool // it has the checksum that was written with it
	Read bool // its content was read, and is whole
	Apps []string
	End  End
}

// Verify reads a backup at a target to its end, and compares its checksum. If key opens it, its content is
// read too, unless onlySum. One that is encrypted for somebody else is not read: that is no error.
func Verify(ctx context.Context, t Target, name string, key Key, onlySum bool) (v Verified, err error) {
	want, err := sumOf(ctx, t, name)
	if err != nil {
		return v, err
	}
	f, err := t.Open(ctx, name)
	if err != nil {
		return v, err
	}
	defer f.Close()
	sum := sha256.New()
	all := io.TeeReader(f, sum)
	if !onlySum {
		if v, err = Check(ctx, all, key); errors.Is(err, ErrEncrypted) {
			err = nil
		}
	}
	if err == nil {
		_, err = io.Copy(sum, f)
	}
	switch {
	case err != nil:
		return v, err
	case want == "":
		return v, nil
	case hex.EncodeToString(sum.Sum(nil)) != want:
		return v, fmt.Errorf("%w: its checksum is not that in %s", ErrTorn, name+sumEnding)
	}
	v.Sum = true
	return v, nil
}

// sumOf returns the checksum that was written with a backup; empty: there is none.
func sumOf(ctx context.Context, t Target, name string) (string, error) {
	f, err := t.Open(ctx, name+sumEnding)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, 1<<10))
	sum, _, _ := strings.Cut(string(text), " ")
	return sum, err
}

// Check reads a backup to its end, writes nothing, and returns what it has.
func Check(ctx context.Context, in io.Reader, key Key) (v Verified, err error) {
	const unlimited = 1 << 62
	r, err := Open(in, key, unlimited)
	if err != nil {
		return v, err
	}
	defer r.Close()
	ended := false
	for {
		e, err := r.next()
		if err == io.EOF && ended {
			v.Read, v.Apps = true, r.Header.Apps
			return v, nil
		}
		switch {
		case err == io.EOF:
			err = errEarly
		case err == nil && ended:
			err = odd("%.80q follows its end", e.Name)
		case err == nil && e.Name == endName:
			ended, err = true, r.facts(&v.End)
		case err == nil:
			_, err = io.Copy(io.Discard, r.tar)
		}
		if err = errors.Join(err, ctx.Err()); err != nil {
			return v, torn(err)
		}
	}
}

// Folder is a folder of this machine.
type Folder struct{ Dir string }

// Put implements [Target].
func (f Folder) Put(ctx context.Context, name string, write func(io.Writer) error) error {
	if err := os.MkdirAll(f.Dir, 0o700); err != nil {
		return err
	}
	f.tidy()
	tmp, err := os.OpenFile(filepath.Join(f.Dir, name+".part"), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	err = write(tmp)
	if err == nil {
		err = tmp.Sync()
	}
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), filepath.Join(f.Dir, name))
	}
	if err != nil {
		os.Remove(tmp.Name())
		return err
	}
	return durable.SyncDir(f.Dir)
}

// tidy removes what a killed process has left half written.
func (f Folder) tidy() {
	const dead = 24 * time.Hour // without a byte more
	parts, _ := filepath.Glob(filepath.Join(f.Dir, "*"+extension+".part"))
	for _, path := range parts {
		if info, err := os.Lstat(path); err == nil && time.Since(info.ModTime()) > dead {
			os.Remove(path)
		}
	}
}

// Open implements [Target].
func (f Folder) Open(_ context.Context, name string) (io.ReadCloser, error) {
	return os.Open(filepath.Join(f.Dir, name))
}

// List implements [Target].
func (f Folder) List(context.Context) (all []Stored, err error) {
	entries, err := os.ReadDir(f.Dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && info.Mode().IsRegular() {
			all = append(all, Stored{e.Name(), info.Size()})
		}
	}
	return all, err
}

// Remove implements [Target].
func (f Folder) Remove(_ context.Context, name string) error {
	err := os.Remove(filepath.Join(f.Dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	return err
}
