package builder

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/Masterminds/semver/v3"

	"paas/builder/cmdline"
	"paas/builder/tree"
	"paas/engine/local/child"
	"paas/say"
	"paas/volume"
)

// Builder makes checked-out commits runnable. Fill in the fields; it is safe for concurrent use.
type Builder struct {
	Keeper    *child.Keeper
	PassEnv   []string      // server variables that builds may see; see [cmdline.Base]
	Timeout   time.Duration // of a whole build; default 15 min
	Memory    int64         // bytes that each step of a build may use; 0: no limit
	MaxBuilds int           // builds at once; 0: one per two processors, at least 1

	// Group makes a group for one step, freed after it; nil: there are no groups. HoldsMemory: the
	// group enforces Memory; otherwise memory is polled.
	Group       func() (group child.Confinement, free func(), err error)
	HoldsMemory bool

	versions sync.Map // program -> what it prints as its version
	turns    turns
}

// Job describes one build.
type Job struct {
	App       string
	Tree      string            // the app's folder in the commit; its processes run here
	Top       string            // the top of the commit, if Tree is a folder below it; empty: Tree
	Cache     string            // a folder for this app alone, kept between builds
	Config    map[string]string // config vars
	Buildpack string            // see [ParseBuildpacks]; empty: recognise languages
	Out       io.Writer         // what the pusher sees: steps and details

	Under   []child.Confinement // confines all commands of the build
	Env     map[string]string   // what Under needs in their environment
	View    View                // what commands see under Under; nil: the same as this process
	Fetcher Fetcher             // downloads buildpacks; nil: none are downloaded

	Toolchains Toolchains // fetches other versions than the server's; nil: there are only those
}

// build is a build in progress.
type build struct {
	*Builder
	job   Job
	tree  *os.Root
	plan  *plan
	env   map[string]string // of commands
	notes []string          // to print with the first step

	node           *semver.Version // of the toolchain that is used; nil: the server's Node is
	saidToolchains bool
	programs       map[string]string // name -> path of another installation than PATH finds first
	goToolchain    string            // GOTOOLCHAIN; empty: the server's Go

	clock   clock // measures the time that counts towards Timeout
	hasTurn bool

	hasOutput bool // .paas is empty or written by this build
	built     volume.Built
}

// Build makes a checked-out commit runnable, in place: it recognises the languages, installs the
// dependencies and compiles. It blocks until the build has ended, and first waits for other builds
// if more than MaxBuilds would run. It can be repeated on the tree of an interrupted build.
func (b *Builder) Build(ctx context.Context, job Job) (volume.Built, error) {
	root, err := os.OpenRoot(job.Tree)
	if err != nil {
		return volume.Built{}, err
	}
	defer root.Close()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	job.View = cmp.Or[View](job.View, sameView{})
	one := &build{Builder: b, job: job, tree: root, env: b.environment(job, job.Config)}
	timeout := cmp.Or(b.Timeout, 15*time.Minute)
	one.clock = clock{
		left: timeout,
		end:  func() { cancel(fmt.Errorf("not finished after %s; stopped", timeout)) },
	}
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
		return volume.Built{}, explainNothing(err, root, job.App)
	}
	if tree.IsFile(root, ".env") {
		say.Detail(job.Out,
			"not loading .env from the repository; set config vars instead")
	}
	if err := one.needTools(ctx); err != nil {
		return volume.Built{}, explainSpace(err)
	}
	if err := os.MkdirAll(one.cache("home"), 0o700); err != nil {
		return volume.Built{}, explainSpace(err)
	}
	for _, p := range one.plan.projects {
		if err := p.build(ctx, one); err != nil {
			return volume.Built{}, explainSpace(err)
		}
	}
	one.printNotes() // in case no project had anything to build
	one.built.Kind, one.built.Processes = one.plan.kind, one.plan.processes
	one.built.Static = one.plan.static
	if one.plan.maker != nil {
		one.built.Static, err = one.plan.maker.site(root)
	}
	return one.built, err
}

// openAbove opens the folders above the tree up to the top of the commit, nearest first.
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

// environment returns the environment of a build's commands, with these config vars. Their home
// folder is in the cache.
func (b *Builder) environment(job Job, config map[string]string) map[string]string {
	env := cmdline.Base(b.PassEnv)
	env["HOME"] = filepath.Join(job.Cache, "home")
	env["PAAS_APP"] = job.App
	maps.Copy(env, config)
	maps.Copy(env, job.Env)
	return env
}

// step announces that the build of a language begins, and prints the notes collected so far.
func (b *build) step(kind string) {
	say.Step(b.job.Out, "Building (%s)", kind)
	b.printNotes()
}

func (b *build) printNotes() {
	for _, note := range b.notes {
		say.Detail(b.job.Out, "%s", note)
	}
	b.notes = nil
}

// setEnv sets a variable of the app's processes. PATH lists folders to put in front of the server's
// PATH; each call appends to it.
func (b *build) setEnv(name, value string) {
	if b.built.Env == nil {
		b.built.Env = map[string]string{}
	}
	if earlier := b.built.Env[name]; name == "PATH" && earlier != "" {
		value = earlier + ":" + value
	}
	b.built.Env[name] = value
}

// run runs one command of the build in the tree. Out gets its output: the first megabyte and the
// last lines. The error ends with what the output says about the reason, see [failures].
func (b *build) run(ctx context.Context, name string, env map[string]string, argv ...string) error {
	if err := b.takeTurn(ctx); err != nil { // before printing the name: it does not run yet
		return fmt.Errorf("%s: %w", name, err)
	}
	say.Detail(b.job.Out, "%s", name)
	bounded := say.NewBounded(b.job.Out, 1<<20, 16<<10)
	indent := say.NewIndent(bounded)
	why := &reason{failure: failureOf(name)}
	lines := say.NewFlat(why)
	err := b.runTo(ctx, io.MultiWriter(indent, lines), name, env, argv...)
	lines.Close()
	indent.Close()
	bounded.Close()
	return why.explain(err)
}

// runTo runs one command of the build in the tree and writes its raw output to out. The error names
// the command and tells a full disk and a lack of memory from other failures.
func (b *build) runTo(
	ctx context.Context, out io.Writer, name string, env map[string]string, argv ...string,
) error {
	if err := b.takeTurn(ctx); err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	watch := child.WatchOOM()
	defer watch.Close()
	c := child.Command{
		Name: name, Argv: argv, Dir: b.job.Tree, Env: env, Out: out, MaxMemory: b.Memory,
		Under: b.job.Under, Background: true,
	}
	if b.Group != nil {
		group, free, err := b.Group()
		if err != nil {
			return err
		}
		defer free()
		// first, as others may hide the group's files
		c.Under = append([]child.Confinement{group}, c.Under...)
	}
	if b.HoldsMemory {
		c.MaxMemory = 0
	}
	err := b.Keeper.Run(ctx, c)
	var tooMuch child.Overuse
	switch {
	case err == nil:
		return nil
	case errors.As(err, &tooMuch):
		err := fmt.Errorf("%s: used %d MiB of memory; a build may use %d MiB",
			name, tooMuch.Used>>20, tooMuch.Max>>20)
		return &volume.Problem{Err: err, Remedy: volume.Remedy{Do: volume.RaiseBuildMemory}}
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", name, context.Cause(ctx))
	case watch.RanOut():
		return fmt.Errorf("%s: %w: the server ran out of memory", name, err)
	case isFull(b.job.Tree) || isFull(b.job.Cache):
		return fmt.Errorf("%s: %w: %w", name, err, errNoSpace)
	}
	return fmt.Errorf("%s: %w", name, err)
}

// capture runs a command in dir and returns what it prints, at most 64 KiB.
func (b *build) capture(
	ctx context.Context, dir string, env map[string]string, argv ...string,
) (string, error) {
	var out bytes.Buffer
	err := b.Keeper.Run(ctx, child.Command{
		Argv: argv, Dir: dir, Env: env, Out: say.NewBounded(&out, 64<<10, 1),
		Under: b.job.Under, Background: true,
	})
	printed := strings.TrimSpace(b.job.View.Outside(out.String()))
	if err != nil {
		first, _, _ := strings.Cut(printed, "\n")
		name := strings.Join(append([]string{filepath.Base(argv[0])}, argv[1:]...), " ")
		return "", fmt.Errorf("%s: %w: %s", name, err, say.Plain(first, 200))
	}
	return printed, nil
}

// cache returns a path in the app's cache that no link leads out of, until the next command.
func (b *build) cache(elem ...string) string {
	return unlinked(b.job.Cache, filepath.Join(b.job.Cache, filepath.Join(elem...)))
}

// unlinked returns path, which is below dir, and removes a link on the way to it. A command of a
// build may have put one into the cache. Apps that have the server's user could otherwise make the
// builder read, write and remove what the server may.
func unlinked(dir, path string) string {
	below, err := filepath.Rel(dir, path)
	if err != nil {
		return path
	}
	for name := range strings.SplitSeq(below, "/") {
		dir = filepath.Join(dir, name)
		if info, err := os.Lstat(dir); err == nil && info.Mode()&fs.ModeSymlink != 0 {
			os.Remove(dir)
		}
	}
	return path
}
