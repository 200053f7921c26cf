package builder

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paas/rig"
)

const (
	mainRust  = "fn main() { println!(\"compiled\"); }\n"
	cargoToml = "[package]\nname = \"shop\"\nversion = \"1.0.0\"\nedition = \"2021\"\n"
	cargoLock = "version = 3\n\n[[package]]\nname = \"shop\"\nversion = \"1.0.0\"\n"
)

// needRust skips the test without cargo, or if rustup has no toolchain for this user.
func needRust(t *testing.T) {
	t.Helper()
	rig.Need(t, "cargo", "rustc")
	if out, err := exec.Command("rustc", "--version").CombinedOutput(); err != nil {
		t.Skipf("SKIP: rustc --version: %v\n%s", err, out)
	}
}

func TestBuildRust(t *testing.T) {
	t.Parallel()
	needRust(t)
	b := newBuilder(t)
	cache := t.TempDir()
	one := map[string]string{
		"Cargo.toml":       cargoToml,
		"Cargo.lock":       cargoLock,
		"src/main.rs":      mainRust,
		"src/bin/other.rs": mainRust,
	}
	built, out, dir := mustBuild(t, b, cache, one)
	rig.WantIn(t, "build", out, "-----> Building (rust)\n       cargo build\n")
	if got := printed(t, b, dir, built, built.Processes["web"]); built.Kind != "rust" ||
		got != "compiled\n" {
		t.Errorf("built %+v, printed %q; log:\n%s", built, got, out)
	}

	// dependencies are compiled once; the tree's own packages each time, and they do not pile up
	files := map[string]string{
		"Cargo.toml": "[workspace]\nmembers = [\"a\"]\n" + cargoToml +
			"[dependencies]\na = {path = \"a\"}\n",
		"Cargo.lock": "version = 3\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\n\n[[package]]\nname " +
			"= \"shop\"\nversion = \"1.0.0\"\ndependencies = [\n \"a\",\n]\n",
		"a/Cargo.toml":        strings.Replace(cargoToml, "shop", "a", 1),
		"a/src/lib.rs":        "pub fn a() { println!(\"of a\"); }",
		"a/src/bin/worker.rs": mainRust,
		"src/main.rs":         "fn main() { a::a(); }",
		"Procfile":            "web: shop\nworker: worker",
	}
	for range 2 {
		began := time.Now()
		built, out, dir = mustBuild(t, b, cache, files)
		t.Logf("Rust build of a small workspace: %s", time.Since(began))
		if got := printed(t, b, dir, built, "target/release/shop && bin/worker"); got != "of a\ncompiled\n" {
			t.Errorf("printed %q; log:\n%s", got, out)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(cache,
		"cargo-target/*/release/deps/*")); len(left) > 0 {
		t.Errorf("still there: %v", left)
	}

	for want, files := range map[string]map[string]string{
		"no program; add src": {"Cargo.toml": cargoToml, "Cargo.lock": cargoLock, "src/lib.rs": ""},
		"2 programs, none named like the package": {
			"Cargo.toml":   cargoToml,
			"Cargo.lock":   cargoLock,
			"src/bin/a.rs": mainRust,
			"src/bin/b.rs": mainRust,
		},
		"the packages a and shop both have a program called twin; rename one": {
			"Procfile":          "web: twin",
			"Cargo.toml":        "[workspace]\nmembers = [\"a\"]\n" + cargoToml,
			"a/Cargo.toml":      strings.Replace(cargoToml, "shop", "a", 1),
			"src/bin/twin.rs":   mainRust,
			"a/src/bin/twin.rs": mainRust,
		},
		"cargo build: exit status 101": {
			"Cargo.toml":  cargoToml,
			"Cargo.lock":  cargoLock,
			"src/main.rs": "fn main() { nonsense }",
		},
		"cargo metadata: exit status 101": {"Cargo.toml": "nonsense"},
		"rust-toolchain.toml asks for rustc 99.1, but this server has": {"Cargo.toml": cargoToml,
			"src/main.rs":         mainRust,
			"rust-toolchain.toml": "[toolchain]\nchannel = \"99.1\"\n"},
		"rust-toolchain asks for rust nightly-2015-01-01, but this server has rustc ": {"Cargo.toml": cargoToml, "src/main.rs": mainRust,
			"rust-toolchain": "nightly-2015-01-01\n"},
	} {
		_, out, _, err := buildFiles(t, b, cache, files)
		if !strings.Contains(rig.Message(err), want) {
			t.Errorf("err = %v, want %q; log:\n%s", err, want, out)
		}
	}
}

// A crate without a Cargo.lock builds, whether the cache is empty or not.
func TestRustWithoutLock(t *testing.T) {
	t.Parallel()
	needRust(t)
	b, cache := newBuilder(t), t.TempDir()
	for range 2 {
		_, out, _ := mustBuild(t, b, cache, map[string]string{
			"Cargo.toml":          cargoToml,
			"src/main.rs":         mainRust,
			"rust-toolchain.toml": "[toolchain]\nchannel = \"stable\"\n",
		})
		rig.WantIn(t, "without a lock", out, "no Cargo.lock: commit one")
	}
}

// A process that runs cargo finds what the build compiled.
func TestCargoRun(t *testing.T) {
	t.Parallel()
	needRust(t)
	b, cache := newBuilder(t), t.TempDir()
	for _, line := range []string{"cargo run --release", "cargo run --bin shop"} {
		built, out, dir := mustBuild(t, b, cache, map[string]string{
			"Cargo.toml": cargoToml, "Cargo.lock": cargoLock, "src/main.rs": mainRust,
			"Procfile": "web: " + line,
		})
		got := printed(t, b, dir, built, line)
		if !strings.Contains(got, "compiled\n") || strings.Contains(got, "Compiling") {
			t.Errorf("%s printed:\n%s\nafter:\n%s", line, got, out)
		}
	}
}

func TestToolchainFile(t *testing.T) {
	for name, test := range map[string]struct{ files, want string }{
		"":              {"", ""},
		"old form":      {"rust-toolchain: 1.70.0\n", "1.70.0"},
		"old form toml": {"rust-toolchain: [toolchain]\nchannel = \"beta\"", "beta"},
		"new form": {
			"rust-toolchain.toml: [toolchain]\ncomponents = [\"clippy\"]\nchannel = " +
				"\"nightly-2026-01-01\"",
			"nightly-2026-01-01",
		},
		"no channel": {"rust-toolchain.toml: [toolchain]\ncomponents = [\"clippy\"]", ""},
		"not a name": {"rust-toolchain: ../*", "error"},
		"not toml":   {"rust-toolchain.toml: [toolchain", "error"},
	} {
		files := map[string]string{}
		if file, content, ok := strings.Cut(test.files, ": "); ok {
			files[file] = content
		}
		root, err := os.OpenRoot(rig.Tree(t, files))
		if err != nil {
			t.Fatal(err)
		}
		got, err := readToolchain(root)
		root.Close()
		if err != nil {
			got.channel = "error"
		}
		if got.channel != test.want {
			t.Errorf("%s: got %+v, err = %v", name, got, err)
		}
	}
	for output, want := range map[string]string{
		"rustc 1.95.0 (abc 2026-01-01)":         "stable",
		"rustc 1.97.0-nightly (abc 2026-01-01)": "nightly",
		"rustc 1.96.0-beta.2 (abc 2026-01-01)":  "beta",
	} {
		if got := channelOf(output); got != want {
			t.Errorf("channelOf(%q) = %q", output, got)
		}
	}
}

// The build uses a toolchain that rustup has installed.
func TestRustOtherToolchain(t *testing.T) {
	t.Parallel()
	rig.Need(t, "cargo", "rustup")
	if out, err := exec.Command("rustup", "toolchain", "list").Output(); err != nil ||
		!strings.Contains(string(out), "nightly-") {
		t.Skip("SKIP: rustup has no nightly toolchain")
	}
	_, out, _ := mustBuild(t, newBuilder(t), t.TempDir(),
		map[string]string{"Cargo.toml": cargoToml, "Cargo.lock": cargoLock,
			"rust-toolchain.toml": "[toolchain]\nchannel = \"nightly\"\n",
			"src/main.rs":         "#![feature(never_type)]\n" + mainRust})
	rig.WantIn(t, "build", out, "cargo build")
}
