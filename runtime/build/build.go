package build

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

	"paas/runtime/child"
	"paas/runtime/command"
	"paas/say"
	"paas/volume"
)

// Builder makes checked-out commits runnable. Fill in the fields; it is safe for concurrent use.
type Builder struct {
	Keeper  *child.Keeper
	PassEnv []string      // variables of the server's own environment that builds may see; see [command.Base]
	Timeout time.Duration // for the whole of a build; default 15 min
	Memory  int64         // bytes that each step of a build may use, softly; 0: no cap

	versions versions
}

// Job is one build to make.
type Job struct {
	App    string
	Tree   string            // the checked-out commit
	Cache  string            // this app's alone, kept between builds
	Config map[string]string // config vars
	Out    io.Writer         // what the pusher sees: Step and Detail lines
}

// build is one build under way.
type build struct {
	*Builder
	job   Job
	tree  *os.Root
	plan  plan
	env   map[string]string
	built volume.Built
}

// Build makes a checked-out commit runnable, in place: it recognises what is in it, installs what
// it depends on and compiles it. It may be repeated on a tree where it was cut short.
func (b *Builder) Build(ctx context.Context, job Job) (volume.Built, error) {
	root, err := os.OpenRoot(job.Tree)
	if err != nil {
		return volume.Built{}, err
	}
	defer root.Close()
	timeout := cmp.Or(b.Timeout, 15*time.Minute)
	ctx, cancel := context.WithTimeoutCause(ctx, timeout, fmt.Errorf("no end after %s; stopped", timeout))
	defer cancel()
	one := &build{Builder: b, job: job, tree: root, env: b.environment(job)}
	if one.plan, err = detect(root); err != nil {
		return volume.Built{}, err
	}
	if err := one.needTools(); err != nil {
		return volume.Built{}, err
	}
	if err := os.MkdirAll(one.cache("home"), 0o700); err != nil {
		return volume.Built{}, explainSpace(err)
	}
	for _, language := range []func(context.Context) error{one.buildNode, one.buildGo, one.buildPython} { // node first: go may embed what it makes
		if err := language(ctx); err != nil {
			return volume.Built{}, explainSpace(err)
		}
	}
	one.built.Kind, one.built.Processes = one.plan.kind, one.plan.processes
	if one.plan.static != "" {
		one.built.Static, err = one.site()
	}
	return one.built, err
}

// environment is that of a build's commands. What they keep at home stays in the cache.
func (b *Builder) environment(job Job) map[string]string {
	env := command.Base(b.PassEnv)
	env["HOME"] = filepath.Join(job.Cache, "home")
	env["PAAS_APP"] = job.App
	maps.Copy(env, job.Config)
	return env
}

// site is the folder to serve: where a build script ran, what such scripts make comes first.
func (b *build) site() (string, error) {
	if b.plan.node.script("build") == "" {
		return b.plan.static, nil
	}
	folder := staticFolder(b.tree, "dist", "build", "out", "_site", "public", ".")
	if folder == "" {
		return "", errors.New("npm run build left no index.html in dist, build, out, _site or public; " +
			"add a start script to package.json, or a Procfile with a line like `web: node server.js`")
	}
	return folder, nil
}

// needTools says what is missing on this server, all of it, before anything runs.
func (b *build) needTools() error {
	var needs []string
	if p := b.plan.node; p != nil {
		if b.plan.kind == "node" && !b.plan.procfile {
			needs = append(needs, "node")
		}
		if p.hasDependencies() || p.script("build") != "" {
			needs = append(needs, "node", "npm")
		}
	}
	if b.plan.golang {
		needs = append(needs, "go")
	}
	if b.plan.python != "" {
		needs = append(needs, "python3")
	}
	var missing []error
	said := map[string]bool{}
	for _, tool := range needs {
		if _, err := command.LookPath(tool, b.env["PATH"], b.job.Tree); err != nil && !said[tool] {
			said[tool] = true
			missing = append(missing, fmt.Errorf("%s is not on this server: %s", tool, installs[tool]))
		}
	}
	return errors.Join(missing...)
}

// run runs one command of the build in the tree and shows what it prints: the first megabyte and
// the last lines.
func (b *build) run(ctx context.Context, name string, env map[string]string, argv ...string) error {
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
	killed := oomKills()
	err := b.Keeper.Run(ctx, child.Command{Name: name, Argv: argv, Dir: b.job.Tree, Env: env, Out: out, MaxMemory: b.Memory})
	var over child.Overuse
	switch {
	case err == nil:
		return nil
	case errors.As(err, &over):
		return fmt.Errorf("%s: used %d MiB of memory, and a build may have %d MiB (PAAS_BUILD_MEMORY)", name, over.Used>>20, over.Max>>20)
	case ctx.Err() != nil:
		return fmt.Errorf("%s: %w", name, context.Cause(ctx))
	case oomKills() > killed:
		return fmt.Errorf("%s: %w: the server ran out of memory", name, err)
	case isFull(b.job.Tree) || isFull(b.job.Cache):
		return fmt.Errorf("%s: %w: %w", name, err, errNoSpace)
	}
	return fmt.Errorf("%s: %w", name, err)
}

// oomKills is how many processes the kernel has killed for want of memory, cgroup limits included;
// 0 where it does not say.
func oomKills() (n int) {
	content, err := os.ReadFile("/proc/vmstat")
	if err != nil {
		return 0
	}
	if at := bytes.Index(content, []byte("\noom_kill ")); at >= 0 {
		fmt.Sscanf(string(content[at:]), "\noom_kill %d", &n)
	}
	return n
}

func (b *build) toolVersion(ctx context.Context, env map[string]string, tool string) (string, error) {
	path, err := command.LookPath(tool, env["PATH"], b.job.Tree)
	if err != nil {
		return "", err
	}
	return b.version(ctx, env, b.job.Tree, path)
}

// cache is a path in the app's cache.
func (b *build) cache(elem ...string) string {
	return filepath.Join(b.job.Cache, strings.Join(elem, "/"))
}
