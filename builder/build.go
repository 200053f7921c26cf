package builder

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"time"

	"paas/builder/cmdline"
	"paas/builder/tree"
	"paas/engine/local/child"
	"paas/say"
	"paas/volume"
)

// Builder makes checked-out commits runnable. Fill in the fields; it is safe for concurrent use.
type Builder struct {
	Keeper  *child.Keeper
	PassEnv []string      // variables of the server's own environment that builds may see; see [cmdline.Base]
	Timeout time.Duration // for the whole of a build; default 15 min
	Fetcher Fetcher       // brings buildpacks from elsewhere; nil: none come
	Memory  int64         // bytes that each step of a build may use, softly where no Group holds it to them; 0: no cap
	AtOnce  int           // builds that may run commands at once, at least 1; 0: one for two processors

	// Group makes what one step is started in, and is freed after it; nil: there is none. HoldsMemory says
	// that it holds the step to Memory; else the memory is looked at.
	Group       func() (group child.Confinement, free func(), err error)
	HoldsMemory bool

	versions versions
	turns    turns
}

// Job is one build to make.
type Job struct {
	App       string
	Tree      string              // where the app is in the checked-out commit; its processes run here
	Top       string              // the checked-out commit, where Tree is a folder below it; empty: Tree
	Cache     string              // this app's alone, kept between builds
	Config    map[string]string   // config vars
	Buildpack string              // buildpacks in place of what would be recognised, as [ParseBuildpacks] takes them; mostly empty
	Out       io.Writer           // what the pusher sees: Step and Detail lines
	Under     []child.Confinement // what all of its commands are born under
	Env       map[string]string   // what that needs in their environment
	Fetcher   Fetcher             // in place of the builder's
}

// build is one build under way.
type build struct {
	*Builder
	job   Job
	tree  *os.Root
	plan  *plan
	env   map[string]string
	notes []string // to be said with the first step

	clock   clock // of the time that it may take
	hasTurn bool

	hasOutput bool // .paas is this build's own
	built     volume.Built
}

// Build makes a checked-out commit runnable, in place: it recognises what is in it, installs what
// it depends on and compiles it. It may be repeated on a tree where it was cut short.
func (b *Builder) Build(ctx context.Context, job Job) (volume.Built, error) {
	root, err := os.OpenRoot(job.Tree)
	if err != nil {
		return volume.Built{}, err
	}
	defer root.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	one := &build{Builder: b, job: job, tree: root, env: b.environment(job)}
	timeout := cmp.Or(b.Timeout, 15*time.Minute)
	one.clock = clock{left: timeout, end: func() { cancel(fmt.Errorf("no end after %s; stopped", timeout)) }}
	one.clock.start()
	defer one.clock.stop()
	defer func() {
		if one.hasTurn {
			b.turns.leave(job.App)
		}
	}()
	if packs, err := one.buildpacks(); len(packs) > 0 || err != nil {
		if err == nil {
			err = one.buildWith(ctx, packs)
		}
		return one.built, explainSpace(err)
	}
	above, err := openAbove(job)
	if err != nil {
		return volume.Built{}, err
	}
	defer func() {
		for _, folder := range above {
			folder.Close()
		}
	}()
	if one.plan, err = detect(root, above...); err != nil {
		return volume.Built{}, err
	}
	if tree.IsFile(root, ".env") {
		say.Detail(job.Out, ".env is in the repository, and is not loaded: `config:set %s KEY=VALUE` sets what the app is to see", job.App)
	}
	if err := one.needTools(ctx); err != nil {
		return volume.Built{}, err
	}
	if err := os.MkdirAll(one.cache("home"), 0o700); err != nil {
		return volume.Built{}, explainSpace(err)
	}
	for _, p := range one.plan.projects {
		if err := p.build(ctx, one); err != nil {
			return volume.Built{}, explainSpace(err)
		}
	}
	one.sayNotes() // where there was nothing to build
	one.built.Kind, one.built.Processes, one.built.Static = one.plan.kind, one.plan.processes, one.plan.static
	if one.plan.maker != nil {
		one.built.Static, err = one.plan.maker.site(root)
	}
	return one.built, err
}

// openAbove opens the folders that the tree is in, up to the top of the commit, nearest first.
func openAbove(job Job) (above []*os.Root, err error) {
	top := cmp.Or(job.Top, job.Tree)
	for dir := job.Tree; dir != top; {
		if dir = filepath.Dir(dir); dir == filepath.Dir(dir) {
			return above, fmt.Errorf("%s is not in %s", job.Tree, top)
		}
		folder, err := os.OpenRoot(dir)
		if err != nil {
			return above, err
		}
		above = append(above, folder)
	}
	return above, nil
}

// environment is that of a build's commands. What they keep at home stays in the cache.
func (b *Builder) environment(job Job) map[string]string {
	env := cmdline.Base(b.PassEnv)
	env["HOME"] = filepath.Join(job.Cache, "home")
	env["PAAS_APP"] = job.App
	maps.Copy(env, job.Config)
	maps.Copy(env, job.Env)
	return env
}

// step says that the build of a language begins, and what was found out before.
func (b *build) step(kind string) {
	say.Step(b.job.Out, "Building (%s)", kind)
	b.sayNotes()
}

func (b *build) sayNotes() {
	for _, note := range b.notes {
		say.Detail(b.job.Out, "%s", note)
	}
	b.notes = nil
}

// setEnv sets a variable of the app's processes. PATH is the folders in front of the server's own: each
// call puts more behind those that are there.
func (b *build) setEnv(name, value string) {
	if b.built.Env == nil {
		b.built.Env = map[string]string{}
	}
	if before := b.built.Env[name]; name == "PATH" && before != "" {
		value = before + ":" + value
	}
	b.built.Env[name] = value
}

// run runs one command of the build in the tree and shows what it prints: the first megabyte and
// the last lines.
func (b *build) run(ctx context.Context, name string, env map[string]string, argv ...string) error {
	if err := b.takeTurn(ctx); err != nil { // before it is named: it does not run yet
		return fmt.Errorf("%s: %w", name, err)
	}
	say.Detail(b.job.Out, "%s", name)
	bounded := say.NewBounded(b.job.Out, 1<<20, 16<<10)
	indent := say.NewIndent(bounded)
	err := b.runTo(ctx, indent, name, env, argv...)
	indent.Close()
	bounded.Close()
	return err
}

// runTo is run with the output as it is.
func (b *build) runTo(ctx context.Context, out io.Writer, name string, env map[string]string, argv ...string) error {
	if err := b.takeTurn(ctx); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	watch := child.WatchOOM()
	defer watch.Close()
	c := child.Command{
		Name: name, Argv: argv, Dir: b.job.Tree, Env: env, Out: out, MaxMemory: b.Memory, Under: b.job.Under, Background: true,
	}
	if b.Group != nil {
		group, free, err := b.Group()
		if err != nil {
			return err
		}
		defer free()
		c.Under = append([]child.Confinement{group}, c.Under...) // first: others may keep it from its files
	}
	if b.HoldsMemory {
		c.MaxMemory = 0
	}
	err := b.Keeper.Run(ctx, c)
	var over child.Overuse
	switch {
	case err == nil:
		return nil
	case errors.As(err, &over):
		return fmt.Errorf("%s: used %d MiB of memory, and a build may have %d MiB (PAAS_BUILD_MEMORY)", name, over.Used>>20, over.Max>>20)
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", name, context.Cause(ctx))
	case watch.RanOut():
		return fmt.Errorf("%s: %w: the server ran out of memory", name, err)
	case isFull(b.job.Tree) || isFull(b.job.Cache):
		return fmt.Errorf("%s: %w: %w", name, err, errNoSpace)
	}
	return fmt.Errorf("%s: %w", name, err)
}

// ask is what a tool prints, run outside of the tree: some look there for what they should be.
func (b *build) ask(ctx context.Context, env map[string]string, argv ...string) (string, error) {
	var out bytes.Buffer
	bounded := say.NewBounded(&out, 64<<10, 1)
	err := b.Keeper.Run(ctx, child.Command{Name: argv[0], Argv: argv, Dir: b.cache("home"), Env: env, Out: bounded, Under: b.job.Under, Background: true})
	if err != nil {
		first, _, _ := strings.Cut(strings.TrimSpace(out.String()), "\n")
		return "", fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, say.Plain(first, 200))
	}
	return strings.TrimSpace(out.String()), nil
}

// cache is a path in the app's cache.
func (b *build) cache(elem ...string) string {
	return filepath.Join(b.job.Cache, strings.Join(elem, "/"))
}
