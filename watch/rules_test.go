package watch

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

// write creates files and their folders.
func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// watchedFiles returns what a new tree at root watches.
func watchedFiles(t *testing.T, root string, ignore, ext []string) []string {
	t.Helper()
	var paths []string
	err := newTree(root,
		newRules(root, ignore, ext)).scan(func(path string) { paths = append(paths, path) })
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(paths)
	return paths
}

// gitFiles returns what git does not ignore, without the default ignores.
func gitFiles(t *testing.T, dir string) []string {
	t.Helper()
	cmd := exec.Command("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	cmd.Dir = dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=/dev/null", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_CONFIG_GLOBAL=/dev/null"}
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	var paths []string
	for path := range strings.SplitSeq(strings.Trim(string(out), "\x00"), "\x00") {
		if path != "" && filepath.Base(path) != ".gitignore" {
			paths = append(paths, path)
		}
	}
	slices.Sort(paths)
	return paths
}

func initRepository(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("git", "init", "-q", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return dir
}

// .gitignore files have the same effect as in git.
func TestRulesLikeGit(t *testing.T) {
	files := map[string]string{}
	for _, path := range []string{
		"a.js", "a.txt", "b.js", "x y", "trail ", "#hash", "!bang", "[x]", "a*b", "ab", "a.js.map",
		"caf\xc3\xa9", "-", "A.JS",
		"src/a.js", "src/a.txt", "src/deep/a.js", "src/deep/er/a.js", "src/deep/er/b.txt",
		"src/foo", "foo/bar/baz", "foo/a.js",
		"foo/keep.js", "build/x", "build/keep/x", "src/build/x", "out", "deep/out/x", "doc/frotz/x",
		"a/doc/frotz/x", "a/b/c/d/e.js", "a/x/b/f", "a/x/y/b/f",
	} {
		files[path] = "x"
	}
	dir := initRepository(t)
	write(t, dir, files)
	for _, ignore := range []string{
		"*", "*\n!*/\n!*.js", "/*\n!/src/", "foo/*\n!foo/keep.js", "foo/**\n!foo/keep.js",
		"foo/\n!foo/keep.js", "foo\n!foo/",
		"*.js\n!a.js", "/a.js", "src/*.js", "src/**/*.js", "**/a.js", "**/deep/**", "a/**/b",
		"a/*/b", "a/**", "/**/b", "**/doc/frotz/", "doc/frotz/", "out/", "out",
		"build/\n!build/keep/", "build/*\n!build/keep/", `\#hash`, `\!bang`, "#hash", "x\\ y",
		"trail ", `trail\ `, "[a-b].js", "[!a].js", "[^a].js", "[[:alpha:]].js", `\[x\]`, "[]x]*",
		"[x",
		`a\*b`, "a?b", "a*", "*a*.*", "a**b", "src/**a.js", "**", "/", "!", "", "\r\n*.js\r\n",
		"\ufeff*.js", "caf*", "caf?", "caf??", "src/deep", "deep/er", "***", "a/***/b", "[a-",
		"[--a]", `[\]x]`, "[z-a]", "foo/bar/", "**/", "/*/*/*", "src//a.js",
		"*/a.js", "[[:digit:]x]y", "[a-zA-Z].[jJ][sS]", `\`, `a\`, "*.js/",
	} {
		write(t, dir, map[string]string{".gitignore": ignore})
		if got, want := watchedFiles(t, dir, nil, nil), gitFiles(t, dir); !slices.Equal(got, want) {
			t.Errorf("%q\nwe watch %q\ngit has  %q", ignore, got, want)
		}
	}
}

// The same with random files and rules, in subfolders and in .git/info.
func TestRandomRulesLikeGit(t *testing.T) {
	chance := rand.New(rand.NewPCG(1, 2))
	pick := func(list ...string) string { return list[chance.IntN(len(list))] }
	for range 60 {
		dir := initRepository(t)
		for range 40 {
			path := pick("a", "b", "ab", "c.js")
			for range chance.IntN(3) {
				path = pick("a", "b", "ab") + "/" + path
			}
			os.MkdirAll(filepath.Join(dir, filepath.Dir(path)), 0o755)
			os.WriteFile(filepath.Join(dir, path), nil, 0o644) // fails if it is a folder by now
		}
		rules := map[string]string{}
		for _, file := range []string{".gitignore", "a/.gitignore", "a/b/.gitignore",
			".git/info/exclude"} {
			var text string
			for range chance.IntN(4) {
				text += pick("", "", "!") + pick("", "", "/") + pick("a", "b", "*", "**", "?",
					"*.js", "a*", "[ab]")
				for range chance.IntN(3) {
					text += "/" + pick("a", "b", "*", "**", "c.js", "?b")
				}
				text += pick("", "", "/") + "\n"
			}
			if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(file)), 0o755); err == nil {
				os.WriteFile(filepath.Join(dir, file), []byte(text), 0o644)
				rules[file] = text
			}
		}
		if got, want := watchedFiles(t, dir, nil, nil), gitFiles(t, dir); !slices.Equal(got, want) {
			t.Errorf("%q\nwe watch %q\ngit has  %q", rules, got, want)
		}
	}
}

// --ignore takes precedence over the defaults, and those over .gitignore files, also those above.
func TestRulePrecedence(t *testing.T) {
	dir := initRepository(t)
	write(t, dir, map[string]string{
		".gitignore":      "*.tmp\nsecret\n/api/gen\n!*.log\n!node_modules/\n",
		"api/.gitignore":  "!keep.tmp",
		"api/a.js":        "",
		"api/a.ts":        "",
		"api/x.tmp":       "",
		"api/keep.tmp":    "",
		"api/sub/secret":  "",
		"api/gen/a.js":    "",
		"api/dist/a.js":   "",
		"api/app.log":     "",
		"api/main.js~":    "",
		"api/4913":        "",
		"api/#a#":         "",
		"api/sub/.a.swp":  "",
		"api/sub/.git":    "gitdir: elsewhere",
		"api/Makefile":    "",
		"api/x.test.js":   "",
		"api/.env":        "",
		"api/a/.venv/x.p": "",

		"api/node_modules/x/a.js": "",
	})
	api := filepath.Join(dir, "api")
	for _, c := range []struct {
		ignore, ext []string
		want        string
	}{
		{nil, nil, ".env Makefile a.js a.ts dist/a.js keep.tmp x.test.js"},
		{[]string{"dist/", "/.env"}, nil, "Makefile a.js a.ts keep.tmp x.test.js"},
		{[]string{"!*.log", "!secret", "!x.tmp", "!gen/"}, nil,
			".env Makefile a.js a.ts app.log dist/a.js gen/a.js keep.tmp sub/secret x.test.js x.tmp"},
		{nil, []string{"js", ".ts"}, "a.js a.ts dist/a.js x.test.js"},
		{[]string{"dist"}, []string{"*.js"}, "a.js x.test.js"},
		{[]string{"*", "!*.ts"}, []string{""}, "a.ts"},
	} {
		if got := strings.Join(watchedFiles(t, api, c.ignore, c.ext), " "); got != c.want {
			t.Errorf("--ignore %q --ext %q: watched are\n%s, not\n%s", c.ignore, c.ext, got, c.want)
		}
	}
}

// Ignored folders are not read or watched.
func TestIgnoredFoldersAreNotWatched(t *testing.T) {
	dir := initRepository(t)
	write(t, dir, map[string]string{"src/a/b.js": "", "node_modules/x/y.js": "", "out/z": "",
		".gitignore": "out"})
	tree := newTree(dir, newRules(dir, nil, nil))
	var watched []string
	tree.watch = func(path string) error {
		watched = append(watched, strings.TrimPrefix(path, dir))
		return nil
	}
	if err := tree.scan(func(string) {}); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(watched) != "[ /src /src/a]" {
		t.Errorf("%q", watched)
	}
}

// What .NET builds beside a project is ignored, unless a rule takes it in again. Other folders of
// these names are watched.
func TestDotnetOutputIsIgnored(t *testing.T) {
	dir := initRepository(t)
	write(t, dir, map[string]string{
		"web/Web.csproj": "", "web/Program.cs": "", "web/bin/Debug/Web.dll": "",
		"web/obj/project.assets.json": "", "web/pages/bin/a.cs": "", "web/obj.cs": "",
		"lib/Lib.fsproj": "", "lib/obj/x": "", "old/Old.vbproj": "", "old/bin/x": "",
		"kept/Kept.csproj": "", "kept/.gitignore": "!bin\n", "kept/bin/x": "",
		"bin/tool": "", "obj/mesh.obj": "",
	})
	const others = " lib/Lib.fsproj obj/mesh.obj old/Old.vbproj " +
		"web/Program.cs web/Web.csproj"
	for ignore, want := range map[string]string{
		"#": "bin/tool kept/Kept.csproj kept/bin/x" + others + " web/obj.cs web/pages/bin/a.cs",
		"!obj": "bin/tool kept/Kept.csproj kept/bin/x lib/Lib.fsproj lib/obj/x obj/mesh.obj " +
			"old/Old.vbproj web/Program.cs web/Web.csproj web/obj.cs web/obj/project.assets.json " +
			"web/pages/bin/a.cs",
	} {
		if got := strings.Join(watchedFiles(t, dir, []string{ignore}, nil), " "); got != want {
			t.Errorf("--ignore %s: watched are\n%s, not\n%s", ignore, got, want)
		}
	}
	if got := watchedFiles(t, dir, nil, []string{"dll", "json"}); len(got) > 0 {
		t.Errorf("with --ext: watched are %q", got)
	}
}

func FuzzPattern(f *testing.F) {
	f.Add("!/a/**/[!b-c]?*.js/ ", "a/x/y/d.js")
	f.Add(`[[:alpha:]\]-z]\`, "z")
	f.Fuzz(func(t *testing.T, line, path string) {
		p, ok := parsePattern(line)
		if !ok || path == "" {
			return
		}
		folder, file := p.matches(strings.Split(path, "/"), true),
			p.matches(strings.Split(path, "/"), false)
		if file && !folder {
			t.Errorf("%q is about %q only if that is a file", line, path)
		}
	})
}

func mkfifo(path string) error { return syscall.Mkfifo(path, 0o600) }
