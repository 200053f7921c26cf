package local

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"paas/builder"
	"paas/builder/cmdline"
	"paas/engine"
	"paas/engine/keep"
	"paas/engine/local/child"
	"paas/engine/local/confine"
	"paas/engine/local/firewall"
	"paas/engine/local/limits"
	"paas/logs"
	"paas/volume"
)

// Local is the engine that runs builds and processes as children of this process. None of them
// outlives it, not even if it is killed.
type Local struct {
	Root string   // the volume's root, which also marks the processes of this server
	Self []string // command that runs this binary: absolute path and arguments; default: itself

	// PassEnv names the server's own environment variables that builds and processes may see,
	// besides PATH, LANG, TZ and those for proxies and certificate authorities.
	PassEnv []string

	BuildTimeout time.Duration      // of a build; default 15 min
	Buildpacks   builder.Fetcher    // downloads buildpacks; nil: there are none to download
	Toolchains   builder.Toolchains // fetches versions that apps ask for; nil: none are fetched
	BuildMemory  int64              // bytes that a build may use, if [child.CapsMemory]; 0: no cap
	MaxBuilds    int                // at once; 0: one for two processors, at least 1
	Log          *slog.Logger       // default: discards all

	Confined Confined // isolation of apps

	// Beside makes this a builder beside another process, which runs the apps; nil: this engine does
	// both. Then only Open, Close, Adopt, Build and Sweep may be called.
	Beside *Beside

	// Layout returns where the folders of an image are. Without a build, only those of the app.
	Layout func(engine.Image) (Layout, error)

	keep.Fleet
	keeper   child.Keeper
	launcher confine.Launcher
	builder  builder.Builder
	limiter  limits.Limiter

	probe     func(dir string, self ...string) confine.Isolation // nil: confine.Probe
	isolation confine.Isolation
	firewall  *firewall.Firewall // nil: none
	open      []string           // for people: what apps can do although they should not

	owning  sync.Mutex
	storing sync.Map // app -> *sync.Mutex, held while its storage is made
	hidden  []string // folders in which apps see only their own files
	tools   []string // files in those folders that the programs in PATH need

	mu    sync.Mutex
	ports map[int]*claim // reserved, by number
}

// Beside is what a builder needs of the engine beside it.
type Beside struct {
	Guard func(user int) error // [Local.Guard] of that engine

	// Mind calls [Local.Mind] of that engine, which learns by itself when this process has ended.
	Mind func() (mark string, tell func(line string), err error)
}

// Open implements [engine.Engine]. It ends all processes that an earlier server left running: none
// is adopted.
func (l *Local) Open() error {
	if l.Log == nil {
		l.Log = slog.New(slog.DiscardHandler)
	}
	l.ports = map[int]*claim{}
	l.Fleet.Start, l.Fleet.Log = l.startUnit, l.log
	if l.Beside == nil { // else they use what is removed here
		if err := child.EndEarlier(l.Root, l.Log); err != nil {
			return err
		}
	}
	if err := l.openScratch(); err != nil {
		return err
	}
	if err := l.isolate(); err != nil {
		return err
	}
	homes := resolved(homes()...)
	l.hidden = append(homes, resolved(l.Root)...)
	l.tools = confine.Tools(cmdline.Base(nil)["PATH"], homes, resolved(l.Root))
	if l.isolation.Sandboxes {
		l.hidden = append(l.hidden, confine.Run)
		l.tools = append(l.tools, confine.Resolver()...)
	}
	l.keeper = child.Keeper{Root: l.Root, Self: l.Self, Log: l.Log}
	if l.Beside != nil {
		mark, tell, err := l.Beside.Mind()
		if err != nil {
			return err
		}
		l.keeper.Minder = &child.Minder{Mark: mark, Tell: tell}
	}
	l.builder = builder.Builder{
		Keeper: &l.keeper, PassEnv: l.PassEnv,
		Timeout: l.BuildTimeout, Memory: l.BuildMemory, MaxBuilds: l.MaxBuilds,
	}
	if l.BuildMemory > 0 && !child.CapsMemory {
		l.Log.Warn("the memory of builds is not capped on this system: only Linux tells it")
	}
	l.limiter = limits.Open(l.Root, l.Beside != nil)
	l.builder.HoldsMemory = l.limiter.Holds(limits.Limits{Memory: l.BuildMemory}).Memory > 0
	if l.limiter.Lowers() || l.builder.HoldsMemory {
		l.builder.Group = l.buildGroup
	}
	if err := l.keeper.Open(); err != nil {
		return errors.Join(err, l.limiter.Close())
	}
	switch isolation := l.isolation; {
	case isolation.Sandboxes:
		l.launcher = confine.Launcher{Self: l.Self, Log: l.Log}
		if err := l.launcher.Open(); err != nil {
			return errors.Join(err, l.Close())
		}
	case isolation.Any() && !isolation.Users:
		if err := confine.Untraceable(); err != nil {
			l.Log.Warn("other processes of the server's user may look into it", "err", err)
		}
	}
	if l.firewall != nil {
		if err := l.firewall.Open(); err != nil {
			return errors.Join(err, l.Close())
		}
	}
	return nil
}

// Close ends all processes and builds. None starts after it.
func (l *Local) Close() error {
	l.Fleet.Close()
	err := l.keeper.Close()
	l.launcher.Close()
	if l.firewall != nil {
		err = errors.Join(err, l.firewall.Close())
	}
	if l.Beside != nil {
		err = errors.Join(err, os.RemoveAll(l.scratch()))
	}
	return errors.Join(err, l.limiter.Close())
}

// Adopt implements [engine.Engine].
func (l *Local) Adopt(name string) []string { return []string{l.keeper.Adopt(name)} }

// Mind ends what a builder beside this engine has left, once end is called. The builder gets mark
// and tell. If this process is killed, that ends too.
func (l *Local) Mind() (mark string, tell func(line string), end func() error) {
	return l.keeper.Mind()
}

// log returns a log of an app; nil: the output is not written.
func (l *Local) log(app, name string) keep.Log {
	at, err := l.Layout(engine.Image{App: app})
	if err != nil || at.Logs == "" {
		return nil
	}
	return &logs.File{Path: filepath.Join(at.Logs, name+".log")}
}

// Build implements [engine.Engine].
func (l *Local) Build(ctx context.Context, job engine.BuildJob) (built volume.Built, err error) {
	at, err := l.Layout(job.Image)
	if err == nil && job.ClearCache {
		err = l.clearCache(at, job.InUse)
	}
	if err != nil {
		return built, err
	}
	jail, err := l.confine(job.Image.App, at.Tree, at.Cache, at.places(true)...)
	if err != nil {
		return built, err
	}
	defer jail.leave()
	if jail.env["TMPDIR"] != "" { // the app has no /tmp of its own
		watched := &deniedTmp{Writer: job.Out}
		job.Out = watched
		defer func() { err = watched.explain(err) }()
	}
	err = jail.as(func() error {
		built, err = l.builder.Build(ctx, builder.Job{
			App: job.Image.App, Tree: at.Tree, Top: at.Top, Cache: at.Cache,
			Config: job.Config, Buildpack: job.Buildpack, Out: job.Out,
			Under: jail.under, Env: jail.env, View: &jail.box,
			Fetcher:    jail.fetcher(l.Buildpacks),
			Toolchains: jail.toolchains(l.Toolchains),
		})
		return err
	}, filepath.Dir(at.Cache), folders(job.Buildpack)...)
	if err != nil {
		return built, err
	}
	built.Env, err = at.named(built.Env)
	return built, err
}

// clearCache empties an app's cache, except for the paths in inUse.
func (l *Local) clearCache(at Layout, inUse []string) error {
	trash, err := os.MkdirTemp(l.scratch(), "")
	if err != nil {
		return err
	}
	paths := make([]string, len(inUse))
	for i, path := range inUse {
		paths[i] = strings.ReplaceAll(path, engine.Cache, at.Cache)
	}
	if err = builder.Clear(at.Cache, trash, paths); err != nil {
		err = fmt.Errorf("empty the cache: %w", err)
	}
	go func() { // the build need not wait; after a kill, the next start removes it
		if err := os.RemoveAll(trash); err != nil {
			l.Log.Warn("cannot remove what was in a cache", "path", trash, "err", err)
		}
	}()
	return err
}

// Sweep removes the files in the app's cache that only removed builds used.
func (l *Local) Sweep(_ context.Context, app string) error {
	at, err := l.Layout(engine.Image{App: app})
	if err != nil {
		return err
	}
	if _, err := os.Stat(at.Cache); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	own := confine.Place{From: at.Cache, At: ownCache, Writable: true}
	jail, err := l.confine(app, "", at.Cache, own)
	if err != nil {
		return err
	}
	defer jail.leave()
	return jail.as(func() error { return builder.Sweep(at.Cache) }, filepath.Dir(at.Cache))
}
