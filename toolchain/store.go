package toolchain

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"github.com/Masterminds/semver/v3"

	"paas/say"
	"paas/volume"
)

// Store has the toolchains of a volume, and fetches others. Fill in the fields; it is safe for
// concurrent use. Only one process of a volume may have one.
type Store struct {
	Volume   *volume.Volume
	Registry string        // its URL; default [DefaultRegistry]
	Patience time.Duration // how long the registry may send next to nothing; default 30 s

	turns turns
	http  http.Client
	once  sync.Once

	mu    sync.Mutex
	lists map[string]list // by package
}

// Version is a version of a program.
type Version struct {
	*semver.Version
	Node *semver.Constraints // the versions of Node that can run it; nil: all, or it needs none
}

// list is what a package had at some time.
type list struct {
	at       time.Time
	releases []release
}

const listAge = time.Hour // how long a list is used before the registry is asked again

// Versions lists the published versions of a program for this machine. It blocks while it asks the
// registry, at most once an hour. If that fails the error is an [Unreachable].
func (s *Store) Versions(ctx context.Context, name string) (versions []Version, err error) {
	releases, err := s.releases(ctx, name)
	for _, r := range releases {
		versions = append(versions, r.Version)
	}
	return versions, err
}

// Stored lists the versions of a program that were fetched before.
func (s *Store) Stored(name string) (versions []Version) {
	stored, _ := s.Volume.Toolchains() // what cannot be read cannot be used
	for _, t := range stored {
		version, err := semver.StrictNewVersion(t.Version)
		if t.Name != name || err != nil {
			continue
		}
		var about struct{ Engines json.RawMessage }
		content, _ := os.ReadFile(filepath.Join(s.Volume.ToolchainDir(t), "package/package.json"))
		if json.Unmarshal(content, &about) == nil {
			versions = append(versions, Version{version, nodeRange(about.Engines)})
		}
	}
	return versions
}

// Fetch makes a toolchain part of the volume, unless it is already, and returns its folder. It
// blocks, and while another call fetches the same one it waits for that; out gets a line for each.
// Whatever fails, there is a whole toolchain or none.
func (s *Store) Fetch(
	ctx context.Context, t volume.Toolchain, out io.Writer,
) (dir string, err error) {
	dir = s.Volume.ToolchainDir(t)
	exists := func() bool {
		_, err := os.Stat(dir)
		return err == nil
	}
	if exists() {
		return dir, nil
	}
	done, err := s.turns.take(ctx, t.String(), func() {
		say.Detail(out, "waiting for %s, which another build is fetching", t)
	})
	if err != nil {
		return "", err
	}
	defer done()
	if exists() {
		return dir, nil
	}
	if err := s.fetch(ctx, t, out); err != nil {
		s.forget(t.Name) // what the registry lists may have been wrong, too
		return "", fmt.Errorf("fetch %s: %w", t, err)
	}
	return dir, nil
}

// fetch downloads a toolchain, checks it, unpacks it and publishes it.
func (s *Store) fetch(ctx context.Context, t volume.Toolchain, out io.Writer) (err error) {
	releases, err := s.releases(ctx, t.Name)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(releases, func(r release) bool { return r.String() == t.Version })
	if at < 0 {
		return errors.New("the registry has no such version")
	}
	tmp, err := s.Volume.TempDir()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Volume.RemoveTemp(tmp)) }()
	file, err := os.Create(filepath.Join(tmp, "package.tgz"))
	if err != nil {
		return err
	}
	defer file.Close()
	err = s.client().download(ctx, file, releases[at], func(got, all int64) {
		switch {
		case got == 0 && all < 0:
			say.Detail(out, "fetching %s", t)
		case got == 0:
			say.Detail(out, "fetching %s (%s)", t, say.Bytes(all))
		default:
			say.Detail(out, "fetching %s: %s so far", t, say.Bytes(got))
		}
	})
	if err == nil {
		_, err = file.Seek(0, io.SeekStart)
	}
	if err != nil {
		return err
	}
	unpacked := filepath.Join(tmp, "unpacked")
	if err := os.Mkdir(unpacked, 0o755); err != nil {
		return err
	}
	root, err := os.OpenRoot(unpacked)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := unpack(file, root, releases[at].programs); err != nil {
		return fmt.Errorf("%s: %w", releases[at].pkg, err)
	}
	if err := s.Volume.PublishToolchain(t, unpacked); !errors.Is(err, fs.ErrExist) {
		return err
	}
	return nil
}

// releases lists the releases of a program's packages for this machine.
func (s *Store) releases(ctx context.Context, name string) (all []release, err error) {
	packages := sources(name, thisMachine())
	if len(packages) == 0 {
		return nil, fmt.Errorf("no %s is published for %s", name, thisMachine())
	}
	for _, from := range packages {
		releases, err := s.list(ctx, from)
		if err != nil {
			return nil, err
		}
		all = append(all, releases...)
	}
	return all, nil
}

// list returns the releases of a package: from the registry, or as it listed them before.
func (s *Store) list(ctx context.Context, from source) ([]release, error) {
	done, err := s.turns.take(ctx, from.pkg, func() {})
	if err != nil {
		return nil, err
	}
	defer done()
	s.mu.Lock()
	known, ok := s.lists[from.pkg]
	s.mu.Unlock()
	if ok && time.Since(known.at) < listAge {
		return known.releases, nil
	}
	releases, err := s.client().releases(ctx, from)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lists == nil {
		s.lists = map[string]list{}
	}
	s.lists[from.pkg] = list{time.Now(), releases}
	return releases, nil
}

// forget makes the next call ask the registry for a program's releases.
func (s *Store) forget(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, from := range sources(name, thisMachine()) {
		delete(s.lists, from.pkg)
	}
}

func (s *Store) client() client {
	patience := cmp.Or(s.Patience, 30*time.Second)
	s.once.Do(func() { s.http.Transport = transport(patience) })
	return client{url: cmp.Or(s.Registry, DefaultRegistry), http: &s.http, patience: patience}
}
