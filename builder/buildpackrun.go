package builder

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"strings"

	"go.yaml.in/yaml/v3"

	"paas/builder/cmdline"
	"paas/builder/tree"
	"paas/formation"
	"paas/say"
)

// buildWith runs the buildpacks one after the other.
func (b *build) buildWith(ctx context.Context, packs []Buildpack) error {
	err := errors.Join(os.MkdirAll(b.cache("home"), 0o700),
		os.MkdirAll(b.cache("buildpack", "cache"), 0o755), b.pruneBuildpacks(packs))
	if err != nil {
		return err
	}
	vars, err := b.writeConfig()
	defer func() { // not defer os.RemoveAll: commands may have put links on the way
		os.RemoveAll(b.runDir())
		os.RemoveAll(unlinked(b.job.Cache, vars))
	}()
	if err != nil {
		return err
	}
	// buildpacks read config vars from files
	env := cmdline.With(b.environment(b.job, nil), map[string]string{"STACK": stack(b.job.Config)})
	var defaults map[string]string
	for i, p := range packs {
		dir, err := b.prepare(ctx, p, i)
		if err == nil {
			defaults, env, err = b.runBuildpack(ctx, p, dir, vars, env)
		}
		if err != nil {
			return fmt.Errorf("buildpack %s: %w", p, err)
		}
	}
	b.built.Kind = "buildpack"
	if b.built.Processes, err = b.processes(defaults); err != nil {
		return err
	}
	return b.profile(ctx)
}

// runBuildpack runs the scripts of the buildpack in dir. It returns the processes that the
// buildpack suggests, and the environment for the next buildpack.
func (b *build) runBuildpack(
	ctx context.Context, p Buildpack, dir, vars string, env map[string]string,
) (defaults, next map[string]string, err error) {
	name := p.String()
	if detect := filepath.Join(dir, "bin/detect"); isFile(detect) {
		var out bytes.Buffer
		err := b.runTo(ctx, say.NewBounded(&out, 4<<10, 1), "bin/detect", env, detect, b.job.Tree)
		first, _, _ := strings.Cut(strings.TrimSpace(out.String()), "\n")
		if err != nil {
			if first != "" {
				say.Detail(b.job.Out, "%s", say.Plain(first, 200))
			}
			return nil, nil, fmt.Errorf("%w: it does not support this app", err)
		}
		if first != "" {
			name = say.Plain(first, 80) + ", " + name
		}
	}
	say.Step(b.job.Out, "Building (buildpack: %s)", name)
	bounded := say.NewBounded(b.job.Out, 1<<20, 16<<10)
	flat := say.NewFlat(bounded) // buildpacks print steps and details themselves
	err = b.runTo(ctx, flat, "bin/compile", env, filepath.Join(dir, "bin/compile"), b.job.Tree,
		b.cache("buildpack", "cache"), vars)
	flat.Close()
	bounded.Close()
	if err != nil {
		return nil, nil, err
	}
	if defaults, err = b.defaultProcesses(ctx, dir, env); err != nil {
		return nil, nil, err
	}
	if export := filepath.Join(dir, "export"); isFile(export) {
		changed, err := b.sourceScripts(ctx, env, export)
		return defaults, cmdline.With(env, changed), err
	}
	return defaults, env, nil
}

// defaultProcesses returns the default_process_types that the buildpack's bin/release prints. Like
// Heroku today, it ignores the add-ons and config vars there.
func (b *build) defaultProcesses(
	ctx context.Context, dir string, env map[string]string,
) (map[string]string, error) {
	script := filepath.Join(dir, "bin/release")
	if !isFile(script) {
		return nil, nil
	}
	var printed bytes.Buffer
	const quietly = `exec "$1" "$2" 2>/dev/null` // standard error is not YAML
	err := b.runTo(ctx, say.NewBounded(&printed, 64<<10, 1), "bin/release", env, "/bin/sh", "-c",
		quietly, "sh", script, b.job.Tree)
	if err != nil {
		return nil, err
	}
	var release struct {
		Processes map[string]string `yaml:"default_process_types"`
	}
	if err := yaml.Unmarshal(printed.Bytes(), &release); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("bin/release: %w", err)
	}
	return release.Processes, nil
}

// processes returns the processes of the Procfile, which a buildpack may have written, and the last
// buildpack's defaults for the types that it lacks.
func (b *build) processes(defaults map[string]string) (map[string]string, error) {
	processes := map[string]string{}
	for name, line := range defaults {
		name, line, err := formation.ParseProcess(name + ": " + strings.TrimSpace(line))
		if err == nil && strings.Contains(line, "\n") {
			err = fmt.Errorf("%s has more than one line", name)
		}
		if err != nil {
			return nil, fmt.Errorf("the buildpack's default_process_types: %w", err)
		}
		processes[name] = line
	}
	content, err := tree.ReadIf(b.tree, "Procfile", formation.MaxProcfile)
	if content == nil || err != nil {
		return processes, err
	}
	own, err := formation.ParseProcfile(content)
	maps.Copy(processes, own)
	return processes, err
}

// profile runs the scripts of .profile.d once, at build time, and keeps the variables that they
// set. Heroku runs them before each process; here no shell stays between the app and its signals.
// The scripts do not see config vars, else the values would end up in the build.
func (b *build) profile(ctx context.Context) error {
	scripts, err := matches(b.tree, ".profile.d/*.sh")
	if len(scripts) == 0 || err != nil {
		return err
	}
	for i, name := range scripts {
		scripts[i] = filepath.Join(b.job.Tree, name)
	}
	env := cmdline.With(b.environment(b.job, nil), map[string]string{"HOME": b.job.Tree})
	changed, err := b.sourceScripts(ctx, env, scripts...)
	if err != nil {
		return fmt.Errorf(".profile.d: %w", err)
	}
	if path, ok := changed["PATH"]; ok {
		changed["PATH"] = inFront(path, env["PATH"])
	}
	for name, value := range changed {
		b.setEnv(name, value)
	}
	return nil
}

// writeConfig makes a folder with a file for each config var.
func (b *build) writeConfig() (dir string, err error) {
	dir = b.cache("buildpack", "env")
	if err := errors.Join(os.RemoveAll(dir), os.MkdirAll(dir, 0o700)); err != nil {
		return dir, err
	}
	for name, value := range b.job.Config {
		err = errors.Join(err, os.WriteFile(filepath.Join(dir, name), []byte(value), 0o600))
	}
	return dir, err
}

// stack names the system that the build runs on, such as "debian-12". A config var can override it,
// for buildpacks that only know Heroku's names.
func stack(config map[string]string) string {
	if name := config["STACK"]; name != "" {
		return name
	}
	content, err := os.ReadFile("/etc/os-release") // os-release(5)
	if err != nil {
		return "unknown"
	}
	about := map[string]string{}
	for line := range strings.Lines(string(content)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		about[name] = strings.Trim(value, `"'`)
	}
	return strings.Trim(about["ID"]+"-"+about["VERSION_ID"], "-")
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}
