package builder

import (
	"os"
	"strings"
	"testing"

	"github.com/Masterminds/semver/v3"

	"paas/rig"
)

func TestNodeVersion(t *testing.T) {
	for text, want := range map[string]string{ // of a server with 20.20.2
		"20": "fits", "v20\n": "fits", "20.x": "fits", "20.20": "fits", "20.20.2": "fits",
		"lts/iron": "fits", "lts/*": "fits",
		"node": "any", "# for CI\n20": "fits", ">=18 <21": "fits", "^18 || ^20": "fits",
		"\ufeff20\r\n": "fits",
		"20.11.0":      "near", "v20.11": "near", "20.11.x": "near", "20.11.*": "near", "20.x.x": "fits",
		"20.21.x": "other", "21.x": "other",
		"22": "other", "18.20.4": "other", "20.21.0": "other", "20.20.3": "other",
		"lts/jod": "other", ">=22": "other", "18 - 19": "other",
		"": "error", "lts/nonsense": "error", "one of these": "error", "20; rm -rf /": "error",
	} {
		if got := verdict(text); got != want {
			t.Errorf("%q: got %s, want %s", text, got, want)
		}
	}
}

func verdict(text string) string {
	found, err := nodeVersion(".nvmrc", firstWord([]byte(text)))
	switch {
	case err != nil:
		return "error"
	case found == nil:
		return "any"
	}
	switch fits, near := found[0].fits(semver.MustParse("20.20.2")); {
	case near:
		return "near"
	case fits:
		return "fits"
	}
	return "other"
}

func FuzzNodeVersion(f *testing.F) {
	for _, seed := range []string{
		"20", "v20.1.2", "lts/*", "lts/iron", ">=18 <21 || ^22", "# x\n20", "20.x", "*", "1 - 2",
		"99999999999999999999",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) { verdict(text) })
}

func TestAtLeast(t *testing.T) {
	for _, test := range []struct {
		text, has string
		digits    int
		want      string
	}{
		{"3.11", "3.11.7", 2, "fits"}, {"3.11.4", "3.11.7", 2, "near"},
		{"3.11.7", "3.11.7", 2, "fits"}, {"3", "3.11.7", 2, "fits"},
		{"3.12", "3.11.7", 2, "other"}, {"3.10", "3.11.7", 2, "other"},
		{"3.11.9", "3.11.7", 2, "other"}, {"2", "3.11.7", 2, "other"},
	} {
		r, err := atLeast(".python-version", test.text, test.digits)
		if err != nil {
			t.Fatal(err)
		}
		got := "other"
		switch fits, near := r.fits(semver.MustParse(test.has)); {
		case near:
			got = "near"
		case fits:
			got = "fits"
		}
		if got != test.want {
			t.Errorf("%s for %s: got %s, want %s", test.has, test.text, got, test.want)
		}
	}
}

func TestParseVersion(t *testing.T) {
	for output, want := range map[string]string{
		"v20.20.2": "20.20.2", "Python 3.11.7": "3.11.7",
		"go version go1.26.8 linux/amd64": "1.26.8", "go version go1.21rc2 linux/amd64": "1.21",
		"deno 2.9.6 (stable, release, x86_64-unknown-linux-gnu)\nv8 15.0.245.2-rusty": "2.9.6",
		"ruby 3.1.2p20 (2022-04-12)":  "3.1.2",
		"openjdk 17.0.9.1 2023-10-17": "17.0.9",
	} {
		if v, err := parseVersion(output); err != nil || v.Original() != want {
			t.Errorf("parseVersion(%q) = %v, %v", output, v, err)
		}
	}
	if v, err := parseVersion("no such command"); err == nil {
		t.Errorf("parseVersion found %v in a text without a version", v)
	}
}

// A wrong version is an error before anything runs that names both versions. A newer patch is
// reported and will do.
func TestRequiredVersions(t *testing.T) {
	bin := fakeTools(t, map[string]string{
		"node": "v20.20.2",
		"npm":  "10.8.2",
		"pnpm": "10.1.0",
		"yarn": "1.22.22",
	})
	t.Setenv("PATH", bin)
	b := newBuilder(t)
	app := func(extra ...string) map[string]string {
		files := map[string]string{"server.js": "", "package.json": `{"dependencies": {"a": "1"}}`}
		for i := 0; i < len(extra); i += 2 {
			files[extra[i]] = extra[i+1]
		}
		return files
	}
	for want, files := range map[string]map[string]string{
		".node-version asks for node 22, but this server has 20.20.2: install Node.js " +
			"(https://nodejs.org, or the package nodejs) in that version, or change .node-version": app(".node-version", "22\n"),
		".nvmrc asks for node 18.1, but this server has 20.20.2":                           app(".nvmrc", "18.1"),
		"engines.node in package.json asks for node >=22 <23, but this server has 20.20.2": app("package.json", `{"engines": {"node": ">=22 <23"}, "main": "server.js"}`),
		"packageManager in package.json asks for pnpm 9.1.0, but this server has 10.1.0": app("package.json",
			`{"packageManager": "pnpm@9.1.0+sha512.a", "dependencies": {"a": "1"}}`),
		"packageManager in package.json asks for yarn 4.0.0, but this server has 1.22.22":        app("package.json", `{"packageManager": "yarn@4.0.0", "dependencies": {"a": "1"}}`),
		"yarn.lock asks for yarn >=4 <4.14, but this server has 1.22.22: install Yarn (https://": app("yarn.lock", "\n__metadata:\n  version: 8\n"),
		"engines.node in package.json: \"one of them\" is not a range of versions":               app("package.json", `{"engines": {"node": "one of them"}}`),
	} {
		_, out, _, err := buildFiles(t, b, t.TempDir(), files)
		if n := strings.Count(rig.Message(err), want); n != 1 {
			t.Errorf("%d times %q in: %v", n, want, err)
		}
		if out != "" {
			t.Errorf("the build began before it failed: %s", out)
		}
	}
	_, out, _ := mustBuild(t, b, t.TempDir(), app(".nvmrc", "20.11.0"))
	rig.WantIn(t, "near", out, ".nvmrc asks for node 20.11.0, but this server has 20.20.2\n")
	_, out, _ = mustBuild(t, b, t.TempDir(), app(".nvmrc", "20.11.0", "package.json", "{}"))
	if out != "       .nvmrc asks for node 20.11.0, but this server has 20.20.2\n" {
		t.Errorf("want the note alone, got:\n%s", out)
	}
	_, out, _ = mustBuild(t, b, t.TempDir(), app("package-lock.json", "{}", "pnpm-lock.yaml", ""))
	rig.WantIn(t, "two lock files", out,
		"ignoring pnpm-lock.yaml: package-lock.json takes precedence; packageManager in "+
			"package.json can choose another tool\n")
	_, out, _ = mustBuild(t, b, t.TempDir(), app("package-lock.json", "{}", "pnpm-lock.yaml", "",
		"package.json",
		`{"packageManager": "pnpm@10.9.0", "dependencies": {"a": "1"}}`))
	rig.WantIn(t, "two lock files", out,
		"ignoring package-lock.json: packageManager in package.json says pnpm\n", "pnpm install\n")
}

// fakeTools makes programs that print their version and do nothing else.
func fakeTools(t *testing.T, versions map[string]string) string {
	t.Helper()
	files := map[string]string{}
	for name, version := range versions {
		files["bin/"+name] = "#!/bin/sh\n[ \"$1\" != --version ] || echo '" + version + "'\n"
	}
	dir := rig.Tree(t, files)
	for _, name := range []string{"sh", "env"} {
		if err := os.Symlink("/bin/"+name, dir+"/bin/"+name); err != nil && name == "sh" {
			t.Fatal(err)
		}
	}
	return dir + "/bin"
}
