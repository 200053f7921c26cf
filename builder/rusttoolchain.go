package builder

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/pelletier/go-toml/v2"

	"paas/builder/cmdline"
	"paas/builder/tree"
)

// rustToolchain is the Rust toolchain that a repository requires
// (https://rust-lang.github.io/rustup/overrides.html#the-toolchain-file).
type rustToolchain struct {
	file    string // rust-toolchain.toml or, the older form, rust-toolchain
	channel string // "1.75", "stable", "nightly-2026-01-01"; empty: any
}

var channelName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

func readToolchain(root *os.Root) (rustToolchain, error) {
	t := rustToolchain{file: "rust-toolchain"} // in rustup's order
	if !tree.IsFile(root, t.file) {
		t.file += ".toml"
	}
	content, err := tree.ReadIf(root, t.file, 64<<10)
	if content == nil || err != nil {
		return rustToolchain{}, err
	}
	t.channel = strings.TrimSpace(string(tree.Text(content)))
	if strings.Contains(t.channel, "[") || strings.HasSuffix(t.file, ".toml") {
		var file struct{ Toolchain struct{ Channel string } }
		if err := toml.Unmarshal(tree.Text(content), &file); err != nil {
			return rustToolchain{}, fmt.Errorf("%s: %w", t.file, err)
		}
		t.channel = file.Toolchain.Channel
	}
	if t.channel != "" && !channelName.MatchString(t.channel) {
		return rustToolchain{}, fmt.Errorf("%s: %.40q is not a toolchain; write one such as 1.85 or "+
			"stable", t.file, t.channel)
	}
	return t, nil
}

// environment returns cargo's environment for this toolchain, and the compiler's version line.
// rustup's cargo looks for toolchains in the home folder and downloads missing ones, so the
// toolchain's own programs precede it in PATH.
func (t rustToolchain) environment(
	ctx context.Context, b *build,
) (env map[string]string, compiler string, err error) {
	env = cmdline.With(b.env, map[string]string{"CARGO_HOME": b.cache("cargo")})
	found := false
	if home := rustupHome(b, env); home != "" {
		env["RUSTUP_HOME"] = home
		installed, _ := filepath.Glob(filepath.Join(home, "toolchains", t.channel+"-*"))
		if found = t.channel != "" && len(installed) > 0; found {
			env["RUSTUP_TOOLCHAIN"] = filepath.Base(installed[0])
		}
	}
	sysroot, err := b.capture(ctx, b.cache("home"), env, "rustc", "--print", "sysroot")
	if err != nil {
		return nil, "", err
	}
	if _, err := os.Stat(filepath.Join(sysroot, "bin", "cargo")); err == nil {
		env["PATH"] = filepath.Join(sysroot, "bin") + ":" + env["PATH"]
	}
	compiler, err = b.capture(ctx, b.cache("home"), env, "rustc", "--version")
	if err != nil || found {
		return env, compiler, err
	}
	return env, compiler, t.check(b, compiler)
}

// rustupHome returns rustup's folder: the one that a variable names, the one in the server's home
// folder, or the one beside the folder .cargo/bin with rustc. It is empty if there is none.
func rustupHome(b *build, env map[string]string) string {
	rustc, _ := cmdline.LookPath("rustc", env["PATH"], b.job.Tree)
	beside := filepath.Join(filepath.Dir(rustc), "../../.rustup")
	for _, home := range []string{
		env["RUSTUP_HOME"], os.Getenv("RUSTUP_HOME"), filepath.Join(os.Getenv("HOME"), ".rustup"),
		beside,
	} {
		if home != "" && isFolder(home) {
			return home
		}
	}
	return ""
}

// check fails if the compiler is not the required one.
func (t rustToolchain) check(b *build, compiler string) error {
	channel, dated, _ := strings.Cut(t.channel, "-")
	switch channel {
	case "stable", "beta", "nightly":
		if dated == "" && channel == channelOf(compiler) {
			return nil
		}
		return fmt.Errorf("%s asks for rust %s, but this server has %s: rustup toolchain "+
			"install %s, or change %s",
			t.file, t.channel, compiler, t.channel, t.file)
	case "":
		return nil
	}
	r, err := atLeast(t.file, t.channel, 1) // newer releases compile what older ones did
	if err != nil {
		return err
	}
	note, err := tool{name: "rustc", install: installRust}.check(r, compiler)
	if note != "" {
		b.notes = append(b.notes, note)
	}
	return err
}

// channelOf returns the channel of a compiler such as "rustc 1.97.0-nightly (abc 2026-01-01)".
func channelOf(compiler string) string {
	words := append(strings.Fields(compiler), "", "")
	_, after, _ := strings.Cut(words[1], "-")
	channel, _, _ := strings.Cut(after, ".") // beta.2
	return cmp.Or(channel, "stable")
}
