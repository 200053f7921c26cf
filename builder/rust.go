package builder

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"paas/builder/tree"
	"paas/say"
)

var rust = language{kind: "rust", detect: func(root *os.Root) (project, error) {
	if !tree.IsFile(root, "Cargo.toml") {
		return nil, nil
	}
	t, err := readToolchain(root)
	if err != nil {
		return nil, err
	}
	return &crate{hasLock: tree.IsFile(root, "Cargo.lock"), toolchain: t}, nil
}}

// crate is a tree with a Cargo.toml at its top: a package or a workspace.
type crate struct {
	hasLock   bool
	toolchain rustToolchain
}

const installRust = "Rust (https://rustup.rs, or the packages cargo and rustc)"

func (c *crate) tools(*plan) []tool {
	return []tool{{name: "cargo", install: installRust}, {name: "rustc", install: installRust}}
}

func (*crate) web(*os.Root) (string, error) { return appProgram, nil }

// build compiles the programs and copies them to .paas/bin: with a Procfile all of them, under their
// own names; without one the one that is the app.
func (c *crate) build(ctx context.Context, b *build) error {
	b.step("rust")
	env, compiler, err := c.toolchain.environment(ctx, b)
	if err != nil {
		return err
	}
	if !c.hasLock {
		say.Detail(b.job.Out, "no Cargo.lock: commit one for repeatable builds")
	}
	about, err := c.metadata(ctx, b, env)
	if err != nil {
		return err
	}
	programs, err := about.programs(b.job.Tree, b.plan.runs("rust"))
	if err != nil {
		return err
	}
	if len(programs) == 0 {
		say.Detail(b.job.Out, "no program: nothing to compile")
		return nil
	}
	target, err := c.target(b, compiler)
	if err != nil {
		return err
	}
	env["CARGO_TARGET_DIR"] = target
	argv, profile := []string{"cargo", "build", "--workspace"}, "debug"
	if !b.runsCargo() || b.plan.hasWord("--release") {
		argv, profile = append(argv, "--release"), "release"
	}
	for _, name := range programs {
		argv = append(argv, "--bin", name)
	}
	if err := b.run(ctx, "cargo build", env, append(argv, c.locked()...)...); err != nil {
		return err
	}
	bin, err := b.output("bin")
	if err != nil {
		return err
	}
	for _, name := range programs {
		to := name
		if b.plan.runs("rust") {
			to = path.Base(appProgram)
		}
		compiled := filepath.Join(target, profile, name)
		if err := cloneFile(compiled, filepath.Join(bin, to), false); err != nil {
			return err
		}
	}
	if !b.plan.runs("rust") {
		if err := b.linkPrograms("target/release"); err != nil {
			return err
		}
	}
	if b.runsCargo() {
		b.setCargoEnv(env)
		return nil
	}
	return about.clean(ctx, b, env)
}

// runsCargo reports whether a process runs cargo, which looks for what is compiled in the tree.
func (b *build) runsCargo() bool { return b.plan.hasWord("cargo") }

// setCargoEnv lets processes use the cargo, toolchain and crates of the build.
func (b *build) setCargoEnv(env map[string]string) {
	for _, name := range []string{"CARGO_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN"} {
		if env[name] != "" {
			b.setEnv(name, env[name])
		}
	}
	b.setEnv("CARGO_NET_OFFLINE", "true") // the crates are there, and the folder is read-only
	b.setEnv("PATH", inFront(env["PATH"], b.env["PATH"]))
}

// metadata is the relevant part of what cargo metadata prints
// (https://doc.rust-lang.org/cargo/commands/cargo-metadata.html).
type metadata struct {
	Packages []struct {
		Name       string `json:"name"`
		Manifest   string `json:"manifest_path"`
		DefaultRun string `json:"default_run"`
		Targets    []struct {
			Kind []string `json:"kind"`
			Name string   `json:"name"`
		} `json:"targets"`
	} `json:"packages"`
}

func (c *crate) metadata(
	ctx context.Context, b *build, env map[string]string,
) (m metadata, err error) {
	var out bytes.Buffer
	bounded := say.NewBounded(&out, 16<<20, 1<<10)
	argv := append([]string{
		"cargo", "metadata", "--quiet", "--no-deps", "--format-version=1",
	}, c.locked()...)
	if err := b.runTo(ctx, bounded, "cargo metadata", env, argv...); err != nil {
		bounded.Close()
		say.Detail(b.job.Out, "%s", strings.TrimSpace(out.String()))
		return m, err
	}
	line := []byte(b.job.View.Outside(out.String()))
	if start := bytes.IndexByte(line, '{'); start > 0 { // a warning precedes it
		line = line[start:]
	}
	if err := json.Unmarshal(line, &m); err != nil {
		return m, fmt.Errorf("cargo metadata: %w", err)
	}
	return m, nil
}

// programs returns the names of the binaries to build: the one that is the app, or all of them.
func (m metadata) programs(top string, one bool) ([]string, error) {
	var all []string
	of := map[string]string{} // program -> its package
	for _, p := range m.Packages {
		atTop := p.Manifest == filepath.Join(top, "Cargo.toml")
		for _, t := range p.Targets {
			if !slices.Contains(t.Kind, "bin") {
				continue
			}
			if one && atTop && t.Name == cmp.Or(p.DefaultRun, p.Name) {
				return []string{t.Name}, nil
			}
			if other := of[t.Name]; other != "" {
				return nil, fmt.Errorf("the packages %s and %s both have a program called %s; rename one",
					other, p.Name, t.Name)
			}
			of[t.Name] = p.Name
			all = append(all, t.Name)
		}
	}
	switch {
	case one && len(all) == 0:
		return nil, noWebProcess("Cargo.toml, but no program", "node server.js", "src/main.rs")
	case one && len(all) > 1:
		return nil, noWebProcess(fmt.Sprintf("%d programs, none named like the package", len(all)),
			all[0])
	}
	return all, nil
}

func (c *crate) locked() []string {
	if c.hasLock {
		return []string{"--locked"}
	}
	return nil
}

// target returns cargo's output folder: in the cache, one per compiler and set of dependencies. It
// removes the others: cargo never deletes what it has compiled. If processes run cargo, it is in the
// tree, and the next build starts from nothing.
func (c *crate) target(b *build, compiler string) (string, error) {
	if b.runsCargo() {
		say.Detail(b.job.Out, "compiling in the tree, for cargo run; `web: bin/NAME` keeps what is "+
			"compiled for the next build")
		return filepath.Join(b.job.Tree, "target"), nil
	}
	sum := cacheKey{sha256.New()}
	sum.add("compiler", []byte(compiler))
	if err := sum.addFiles(b.tree, "Cargo.lock"); err != nil {
		return "", err
	}
	key := sum.String()
	others, err := os.ReadDir(b.cache("cargo-target"))
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	for _, other := range others {
		if other.Name() != key {
			err = errors.Join(err, os.RemoveAll(b.cache("cargo-target", other.Name())))
		}
	}
	return b.cache("cargo-target", key), err
}

// clean removes the compiled packages of the tree itself and keeps those of its dependencies: cargo
// identifies a package by its folder, so it would never use them again.
func (m metadata) clean(ctx context.Context, b *build, env map[string]string) error {
	argv := []string{"cargo", "clean", "--release", "--quiet", "--offline"}
	for _, p := range m.Packages {
		argv = append(argv, "--package", p.Name)
	}
	return b.runTo(ctx, io.Discard, "cargo clean", env, argv...)
}
