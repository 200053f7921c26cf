package builder

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"paas/rig"
)

func TestParseBuildpacks(t *testing.T) {
	for words, want := range map[string]string{
		"":                                 "[]",
		"https://host/a.git#v2 ./b /srv/c": "[https://host/a.git#v2 b /srv/c]",
		"  .  \n/srv/../srv/c/ ":           "[. /srv/c]",
		"../b":                             `buildpack "../b" is not in the repository`,
		"./a/../../b":                      `buildpack "./a/../../b" is not in the repository`,
	} {
		packs, err := ParseBuildpacks(words)
		if got := fmt.Sprint(packs); err == nil && got != want || err != nil &&
			err.Error() != want {
			t.Errorf("ParseBuildpacks(%q) = %v, %v", words, packs, err)
		}
	}
	packs, _ := ParseBuildpacks("/a ./b https://c/d")
	if !packs[0].OnServer() || packs[1].OnServer() || packs[2].OnServer() {
		t.Errorf("got %v", packs)
	}
}

func FuzzBuildpacks(f *testing.F) {
	for _, seed := range []string{
		"https://host/a#b ./c /d", ".", "..", "./..", "#", ".../x", "\x00",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, words string) {
		packs, err := ParseBuildpacks(words)
		for _, p := range packs {
			if err == nil && p.URL == "" && !p.OnServer() && !filepath.IsLocal(p.Folder) {
				t.Fatalf("%q: %+v leads out of the tree", words, p)
			}
		}
	})
}

// pack returns a buildpack that does everything a buildpack may do.
func pack(name string) map[string]string {
	return map[string]string{
		"bin/detect": "#!/bin/sh\n[ -f $1/hello.txt ] && echo Hello " + name,
		"bin/compile": `#!/bin/sh
echo "-----> Compiling ` + name + ` for $STACK"
grep -qs secret $3/GREETING && echo "       secret"
echo "       with $(ls $3 | tr '\n' ' ')and ${GREETING-nothing}; before: ${BEFORE-nobody}"
mkdir -p $1/made $1/.profile.d
[ ! -f $2/` + name + ` ] || echo "       again"
touch $2/` + name + `
printf '#!/bin/sh\necho program of ` + name + `\n' >$1/made/say-` + name + `
chmod +x $1/made/say-` + name + `
echo 'export PATH="$HOME/made:$PATH" OF_` + name + `="it is $HOME; ${GREETING-quiet}"; made() { :; }; echo noise' >$1/.profile.d/` + name + `.sh
here=$(cd "$(dirname "$0")/.." && pwd)
echo 'export BEFORE="` + name + ` ${BEFORE-}"' >$here/export
`,
		"bin/release": "#!/bin/sh\necho noise >&2\nprintf -- '---\\naddons: [db]\\nconfig_vars: {X: " +
			"y}\\ndefault_process_types:\\n  web: say-" + name + "\\n  other: x y\\n'",
	}
}

// remotes is a [Fetcher] for repositories by URL and branch.
type remotes struct {
	at      map[string]map[string]string
	fetched int
}

func (e *remotes) Head(_ context.Context, url, branch string) (string, error) {
	if e.at[url+"#"+branch] == nil {
		return "", errors.New("not there")
	}
	return fmt.Sprint(e.at[url+"#"+branch]), nil
}

func (e *remotes) Fetch(ctx context.Context, url, branch, dir string) (string, error) {
	e.fetched++
	for name, content := range e.at[url+"#"+branch] {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755),
			os.WriteFile(path, []byte(content), 0o755)); err != nil {
			return "", err
		}
	}
	return e.Head(ctx, url, branch)
}

func TestBuildWithBuildpacks(t *testing.T) {
	t.Parallel()
	b := newBuilder(t)
	host := &remotes{at: map[string]map[string]string{"https://host/one.git#v2": pack("one")}}
	server := rig.Tree(t, pack("two"))
	cache := t.TempDir()
	make := func(files map[string]string) (*build, string, error) {
		out := &rig.Screen{}
		job := Job{App: "blog", Tree: rig.Tree(t, files), Cache: cache, Out: out, Fetcher: host,
			Buildpack: "https://host/one.git#v2 " + server,
			Config:    map[string]string{"GREETING": "a secret", "MORE": "x"}}
		built, err := b.Build(t.Context(), job)
		return &build{job: job, built: built}, out.String(), err
	}
	one, out, err := make(map[string]string{
		"hello.txt":    "",
		"Procfile":     "web: say-one && say-two\n",
		"package.json": "nonsense",
	})
	if err != nil {
		t.Fatalf("err = %v; log:\n%s", err, out)
	}
	os := stack(nil)
	rig.WantIn(t, "build", out,
		"-----> Building (buildpack: Hello one, https://host/one.git#v2)\n-----> Compiling one for "+os+"\n       secret\n       with GREETING MORE and nothing; before: nobody\n",
		"-----> Building (buildpack: Hello two, "+server+")\n-----> Compiling two for "+os+"\n       secret\n       with GREETING MORE and nothing; before: one \n")
	wanted := map[string]string{"web": "say-one && say-two", "other": "x y"}
	if one.built.Kind != "buildpack" || !maps.Equal(one.built.Processes, wanted) {
		t.Errorf("built %+v", one.built)
	}
	if want := map[string]string{
		"PATH":   one.job.Tree + "/made",
		"OF_one": "it is " + one.job.Tree + "; quiet",
		"OF_two": "it is " + one.job.Tree + "; quiet",
	}; !maps.Equal(one.built.Env, want) {
		t.Errorf("environment %v", one.built.Env)
	}
	if got := printed(t, b, one.job.Tree, one.built,
		one.built.Processes["web"]); got != "program of one\nprogram of two\n" {
		t.Errorf("printed %q", got)
	}
	if left, _ := filepath.Glob(filepath.Join(cache, "buildpack/env/*")); len(left) > 0 ||
		isFile(filepath.Join(server, "export")) {
		t.Errorf("left: %v, or written into the server's folder", left)
	}

	// The second build uses the first one's cache and downloads nothing. Without a Procfile it runs
	// the last buildpack's default processes.
	two, out, err := make(map[string]string{"hello.txt": ""})
	if err != nil || host.fetched != 1 || two.built.Processes["web"] != "say-two" {
		t.Errorf("err = %v, %d downloads, built %+v", err, host.fetched, two.built)
	}
	rig.WantIn(t, "second build", out, "       again\n")

	// If the repository cannot be reached, the earlier download is used; a new commit is
	// downloaded.
	saved := host.at
	host.at = nil
	if _, out, err = make(map[string]string{"hello.txt": ""}); err != nil {
		t.Errorf("err = %v; log:\n%s", err, out)
	}
	rig.WantIn(t, "not reachable", out,
		" !     not there; using the buildpack as downloaded before\n")
	saved["https://host/one.git#v2"] = pack("three")
	host.at = saved
	if _, out, err = make(map[string]string{"hello.txt": ""}); err != nil || host.fetched != 2 {
		t.Errorf("err = %v, %d downloads", err, host.fetched)
	}
	rig.WantIn(t, "moved", out, "Hello three")

	_, _, err = make(map[string]string{"README": ""})
	if rig.Message(err) != "buildpack https://host/one.git#v2: bin/detect: exit status 1: it "+
		"does not support this app" {
		t.Error(err)
	}
}

func TestBuildpackErrors(t *testing.T) {
	t.Parallel()
	b := newBuilder(t)
	with := func(file, script string) map[string]string {
		files := pack("mine")
		files[file] = script
		files["hello.txt"] = ""
		return files
	}
	outside := rig.Tree(t, pack("outside"))
	for want, files := range map[string]map[string]string{
		"buildpack .: bin/compile: exit status 7": with("bin/compile",
			"#!/bin/sh\necho why; exit 7"),
		"the buildpack's default_process_types: \"../x\" is not a p": with("bin/release",
			"#!/bin/sh\necho 'default_process_types: {../x: y}'"),
		"web has more than one line": with("bin/release",
			"#!/bin/sh\nprintf 'default_process_types: {web: \"a\\\\nb\"}\\n'"),
		"buildpack .: bin/release: yaml: ": with("bin/release",
			"#!/bin/sh\necho '{'"),
		"buildpack .: bin/release: exit status 2": with("bin/release",
			"#!/bin/sh\nexit 2"),
		".profile.d: x.sh: the script calls exit": with(".profile.d/x.sh",
			"exit 0"),
		".profile.d: x.sh: environment: exit status 3: words": with(".profile.d/x.sh",
			"echo words; exit 3"),
		"line 1 of the Procfile":          with("Procfile", "x"),
		".buildpacks: lists no buildpack": {".buildpacks": "# none\n"},
		".buildpacks: " + outside +
			" is a folder of the server; use a URL": {".buildpacks": outside + "\n"},
		".buildpacks: buildpack \"../x\" is not in the repository": {".buildpacks": "../x\n"},
		"buildpack lib: lib/bin/compile is not an executable file": {
			".buildpacks":     "./lib\n",
			"lib/bin/compile": "",
		},
		"buildpack https://host/x: this server downloads no buildpacks": {".buildpacks": "https://host/x\n"},
	} {
		_, out, _, err := buildFiles(t, b, t.TempDir(), files)
		if !strings.Contains(rig.Message(err), want) {
			t.Errorf("err = %v, want %q; log:\n%s", err, want, out)
		}
	}
	// A link to a folder outside is not followed.
	dir := rig.Tree(t, map[string]string{".buildpacks": "./link\n", "hello.txt": ""})
	if err := os.Symlink(outside, filepath.Join(dir, "link")); err != nil {
		t.Fatal(err)
	}
	_, err := b.Build(t.Context(), Job{
		App:   "blog",
		Tree:  dir,
		Cache: t.TempDir(),
		Out:   &rig.Screen{},
	})
	rig.WantIn(t, "a link", rig.Message(err),
		"link/bin/compile is not an executable file of the repository")
	_, err = b.Build(t.Context(), Job{
		App:       "blog",
		Tree:      dir,
		Cache:     t.TempDir(),
		Out:       &rig.Screen{},
		Buildpack: t.TempDir(),
	})
	rig.WantIn(t, "an empty folder", rig.Message(err),
		"not a classic buildpack: it has no executable bin/compile")
}

func TestInFront(t *testing.T) {
	for path, want := range map[string]string{
		"/a:/usr/bin:/bin":   "/a",
		"/a:/b:/a:/usr/bin":  "/a:/b",
		"/usr/bin:/bin":      "",
		"/usr/bin:/bin:/c::": "/c",
	} {
		if got := inFront(path, "/usr/bin:/bin"); got != want {
			t.Errorf("inFront(%q) = %q", path, got)
		}
	}
}
