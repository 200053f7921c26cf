package volume

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"paas/durable"
	"paas/nearest"
)

// Volume is one tree of files, shared by everything that deploys and runs apps.
type Volume struct {
	Root string // absolute path

	// Notify reports the names of files that change in one folder, until ctx ends. It may report a
	// name twice, and may miss one. If it is nil or returns an error, the volume only polls.
	Notify func(ctx context.Context, dir string) (<-chan string, error)

	// Poll is the interval between polls of the bell; at least 10 ms, default 1 s. With Notify it
	// is five times as long: the poll is then only for notifications that do not arrive (network
	// file systems, desktop VMs).
	Poll time.Duration

	Log *slog.Logger // for repairs and the like; default slog.Default()

	hub    hub
	queues queues
	tmpDir tmpDir

	tidy   atomic.Pointer[func()] // asks for it, where Tidy runs
	wiping sync.Mutex
	stuck  map[string]bool // in tmp/: what could not be removed

	newest newest

	maxEvents int64 // tests set it; 0: the constant
}

// Open makes the folders that every volume has, and closes those that hold secrets to other users.
// It returns an error if one stays open, or if the volume has a newer format than [Format]. It
// removes nothing: see [Volume.Tidy]. Call [Volume.Close] at the end.
func (v *Volume) Open() error {
	if !filepath.IsAbs(v.Root) {
		return fmt.Errorf("volume %q: not an absolute path", v.Root)
	}
	if err := v.private(v.Root); err != nil { // it holds the data of apps
		return err
	}
	if err := v.checkFormat(); err != nil {
		return err
	}
	for _, dir := range []string{"tmp", "run", "ssh", "sources", "link"} {
		if err := v.private(filepath.Join(v.Root, dir)); err != nil {
			return err
		}
	}
	for _, dir := range []string{"apps", "bell", "toolchains"} {
		if err := openFolder(filepath.Join(v.Root, dir)); err != nil {
			return fmt.Errorf("volume: %w", err)
		}
	}
	return nil
}

// private makes dir, and closes it to other users.
func (v *Volume) private(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("volume: %w", err)
	}
	before, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("volume: %w", err)
	}
	if before.Mode().Perm()&0o077 == 0 {
		return nil
	}
	err = os.Chmod(dir, before.Mode()&^0o077)
	if errors.Is(err, fs.ErrPermission) && dir != v.Root {
		// another user's, where a container engine mounts a volume for another role: nothing of
		// ours is in it
		return nil
	}
	after, statErr := os.Stat(dir)
	if err == nil {
		err = statErr
	}
	if err == nil && after.Mode().Perm()&0o077 != 0 {
		err = errors.New("its file system keeps no modes")
	}
	if err != nil {
		err = fmt.Errorf(
			"volume: %s is open to other users (%v) and cannot be closed: %w", dir, before.Mode(),
			err,
		)
		return &Problem{err, Remedy{Do: ChooseRoot, With: dir}}
	}
	mode := before.Mode().String()
	v.log().Warn("the folder was open to other users; closed it", "dir", dir, "mode", mode)
	return nil
}

func (v *Volume) log() *slog.Logger {
	if v.Log == nil {
		return slog.Default()
	}
	return v.Log
}

// ErrNoApp is the error for an app that does not exist.
var ErrNoApp = errors.New("no such app")

// App returns the app of that name, or an error that wraps [ErrNoApp] and suggests the nearest
// name.
func (v *Volume) App(name string) (App, error) {
	a := App{vol: v, Name: name}
	if CheckName(name) == nil && a.Exists() {
		return a, nil
	}
	names, _ := v.Apps()
	return App{}, v.NoApp(name, names)
}

// NoApp is the error for an app that does not exist, for somebody who knows the names: it suggests
// one of them, or none.
func (v *Volume) NoApp(name string, known []string) error {
	if now, ok := v.NewName(name); ok && slices.Contains(known, now) {
		return renamed(ErrNoApp, name, now)
	}
	if near := nearest.Word(name, known); near != "" && near != name {
		return fmt.Errorf("%w: %q; did you mean %s?", ErrNoApp, name, near)
	}
	return &Problem{fmt.Errorf("%w: %q", ErrNoApp, name), Remedy{Do: ListApps}}
}

// renamed is an error about a name that an app had before.
func renamed(err error, name, now string) error {
	return &Problem{
		fmt.Errorf("%w: %s is called %s now", err, name, now),
		Remedy{Do: UseNewName, App: now, With: name},
	}
}

// Apps lists the names of all apps, sorted.
func (v *Volume) Apps() ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(v.Root, "apps"))
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		if CheckName(e.Name()) == nil && e.IsDir() {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// Create makes an app without a release. Before it appears, each of before is called with its
// identity, and may fail. The error is [fs.ErrExist] if there is an app of that name, or one that
// had it before: see [Volume.Free].
func (v *Volume) Create(name string, before ...func(id string) error) (App, error) {
	if err := v.isFree(name); err != nil {
		return App{}, err
	}
	tmp, err := v.TempDir()
	if err != nil {
		return App{}, err
	}
	defer os.RemoveAll(tmp)
	for _, dir := range folders {
		if err := openFolder(filepath.Join(tmp, dir)); err != nil {
			return App{}, err
		}
	}
	id := newIdentity()
	if err := durable.Create(filepath.Join(tmp, "id"), []byte(id), 0o644); err != nil {
		return App{}, err
	}
	return v.appear(name, tmp, id, before)
}

// CreateFrom is [Volume.Create] for an app whose folder is dir already: see [Volume.Stage]. After an
// error dir is still there.
func (v *Volume) CreateFrom(name, dir string, before ...func(id string) error) (App, error) {
	if err := v.isFree(name); err != nil {
		return App{}, err
	}
	id, err := os.ReadFile(filepath.Join(dir, "id"))
	if err != nil {
		return App{}, err
	}
	return v.appear(name, dir, string(id), before)
}

// isFree returns an error if no new app can have that name.
func (v *Volume) isFree(name string) error {
	if err := checkNew(name); err != nil {
		return err
	}
	if now, ok := v.NewName(name); ok {
		return renamed(errors.New("the name leads to another app"), name, now)
	}
	return v.Free(name) // it led to an app that was destroyed since
}

// appear gives the folder tmp its name among the apps.
func (v *Volume) appear(name, tmp, id string, before []func(id string) error) (App, error) {
	for _, f := range before {
		if err := f(id); err != nil {
			return App{}, err
		}
	}
	if err := os.Chmod(tmp, 0o755); err != nil {
		return App{}, err
	}
	a := App{vol: v, Name: name}
	if err := os.Rename(tmp, a.Dir()); err != nil {
		if _, statErr := os.Stat(a.Dir()); statErr == nil { // rename returns ENOTEMPTY
			err = fmt.Errorf("app %s: %w", name, fs.ErrExist)
		}
		return App{}, err
	}
	a.Ring()
	return a, durable.SyncDir(filepath.Dir(a.Dir()))
}

// Destroy removes an app with all its files. Its name is free at once, and the runtime stops its
// processes. The caller holds the app's turn. [Volume.Tidy] removes the files later.
func (v *Volume) Destroy(a App) error {
	former := a.Former()
	id, _ := a.Identity() // without it the claims are void
	wanted, _ := a.Wanted()
	err := v.discard(a.Dir())
	if err != nil {
		return err
	}
	if len(wanted.Names.Domains) > 0 {
		err = v.releaseDomains(id, wanted.Names.Domains)
	}
	for _, name := range former {
		err = errors.Join(err, v.Free(name))
	}
	err = errors.Join(err, durable.SyncDir(filepath.Dir(a.Dir())))
	a.Ring()
	os.Remove(filepath.Join(v.Root, "bell", a.Name))
	return err
}
