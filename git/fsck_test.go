package git

import (
	"errors"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/go-git/go-git/v5/plumbing"
)

// hashObject writes an object that git would not create.
func hashObject(t testing.TB, r Repo, kind, content string) string {
	return runGit(t, r, content, "hash-object", "-t", kind, "-w", "--literally", "--stdin")
}

// treeOf writes a tree object with these "mode name hash" entries, unchecked.
func treeOf(t testing.TB, r Repo, entries ...[3]string) string {
	var b strings.Builder
	for _, e := range entries {
		h := plumbing.NewHash(e[2])
		b.WriteString(e[0] + " " + e[1] + "\x00" + string(h[:]))
	}
	return hashObject(t, r, "tree", b.String())
}

// gitAccepts pushes commit to an empty repository. It reports whether git accepts it, and its
// output.
func gitAccepts(t testing.TB, r Repo, commit string) (bool, string) {
	t.Helper()
	into := newRepo(t)
	cmd := exec.Command("git", "-c", "protocol.file.allow=always", "push", "-q",
		"--receive-pack", "git "+quoted(into.options())+" receive-pack", into.Dir,
		commit+":refs/heads/main")
	cmd.Dir = r.Dir
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=/dev/null"}
	out, err := cmd.CombinedOutput()
	return err == nil, string(out)
}

func quoted(args []string) string {
	return "'" + strings.Join(args, "' '") + "'"
}

// fsckWord matches git's message ID.
var fsckWord = regexp.MustCompile(`object [0-9a-f]{40}: (\w+):`)

// Fsck refuses exactly what git refuses in a push.
func TestFsckLikeGit(t *testing.T) {
	r := newRepo(t)
	file := blob(t, r, "x")
	inner := treeOf(t, r, [3]string{"100644", "f", file})
	plain := func(name string) string { return treeOf(t, r, [3]string{"100644", name, file}) }
	link := func(name string) string {
		return treeOf(t, r,
			[3]string{"120000", name, blob(t, r, "/etc")})
	}
	of := func(name, content string) string {
		return treeOf(t, r, [3]string{"100644", name, blob(t, r, content)})
	}
	trees := map[string]string{
		"fine":   plain("a"),
		"empty":  treeOf(t, r),
		"dotdot": treeOf(t, r, [3]string{"40000", "..", inner}),
		"dot":    treeOf(t, r, [3]string{"40000", ".", inner}),
		"dotgit": treeOf(t, r, [3]string{"40000", ".git", inner}),
		"dotgit below": treeOf(t, r,
			[3]string{"40000", "a", treeOf(t, r, [3]string{"40000", ".GIT", inner})}),
		"git short":     treeOf(t, r, [3]string{"40000", "GIT~1", inner}),
		"git hfs":       treeOf(t, r, [3]string{"40000", ".g\u200cit", inner}),
		"git backslash": plain(`a\.git`),
		"slash":         plain("a/b"),
		"link and folder": treeOf(t, r, [3]string{"120000", "a", file},
			[3]string{"40000", "a", inner}),
		"link, more, folder": treeOf(t, r, [3]string{"120000", "a", file},
			[3]string{"100644", "a-b", file}, [3]string{"40000", "a", inner}),
		"twice": treeOf(t, r, [3]string{"100644", "a", file},
			[3]string{"100644", "a", file}),
		"unsorted": treeOf(t, r, [3]string{"100644", "b", file},
			[3]string{"100644", "a", file}),
		"folder sorted": treeOf(t, r, [3]string{"100644", "a.b", file},
			[3]string{"40000", "a", inner}),
		"folder unsorted": treeOf(t, r, [3]string{"40000", "a", inner},
			[3]string{"100644", "a.b", file}),
		"null":                treeOf(t, r, [3]string{"100644", "a", Zero}),
		"zero padded":         treeOf(t, r, [3]string{"040000", "a", inner}),
		"no name":             plain(""),
		"torn":                hashObject(t, r, "tree", "100644 a\x00abc"),
		"no mode":             hashObject(t, r, "tree", " a\x00"+strings.Repeat("x", 20)),
		"odd mode":            treeOf(t, r, [3]string{"100664", "a", file}),
		"text":                hashObject(t, r, "tree", "hello"),
		"modules link":        link(".gitmodules"),
		"modules link short":  link("GITMOD~1"),
		"modules link odd":    link("gi7eba~9"),
		"modules link back":   link(`a\.gitmodules`),
		"modules link spaces": link(".gitmodules . "),
		"attributes link":     link(".gitattributes"),
		"no modules link":     link("gitmod~5"),
		"modules": of(".gitmodules",
			"[submodule \"a\"]\n\tpath = a\n\turl = https://example.com/a.git\n"),
		"modules garbage": of(".gitmodules", "[[[\n"),
		"modules name": of(".gitmodules",
			"[submodule \"../../x\"]\n\tpath = a\n\turl = https://example.com/a.git\n"),
		"modules name inside": of(".gitmodules",
			"[submodule \"a/../b\"]\n\turl = https://example.com/a.git\n"),
		"modules name dots": of(".gitmodules",
			"[submodule \"a/..b\"]\n\turl = https://example.com/a.git\n"),
		"modules option": of(".gitmodules", "[submodule \"a\"]\n\turl = --upload-pack=x\n"),
		"modules newline": of(".gitmodules",
			"[submodule \"a\"]\n\turl = https://example.com/%0ahost=x\n"),
		"modules no host":      of(".gitmodules", "[submodule \"a\"]\n\turl = http:///x\n"),
		"modules climbs":       of(".gitmodules", "[submodule \"a\"]\n\turl = ../../../:x\n"),
		"modules relative":     of(".gitmodules", "[submodule \"a\"]\n\turl = ../b.git\n"),
		"modules path":         of(".gitmodules", "[submodule \"a\"]\n\tpath = -x\n"),
		"modules update":       of(".gitmodules", "[submodule \"a\"]\n\tupdate = !rm -rf /\n"),
		"modules folder":       treeOf(t, r, [3]string{"40000", ".gitmodules", inner}),
		"attributes":           of(".gitattributes", "* text\n"),
		"attributes long line": of(".gitattributes", strings.Repeat("a", 2048)+"\n"),
		"attributes last line": of(".gitattributes", strings.Repeat("a", 2047)+"\n* text"),
		"ignore link":          link(".gitignore"),
	}
	commits := map[string]string{}
	const who = "A <a@b.c> 1 +0000"
	good := func(author string) string {
		return "tree " + inner + "\nauthor " + author + "\ncommitter " + who + "\n\nx\n"
	}
	for name, tree := range trees {
		commits["tree "+name] = strings.Replace(good(who), inner, tree, 1)
	}
	for name, ident := range map[string]string{
		"fine": who, "no name": "<a@b.c> 1 +0000", "only a space": " <a@b.c> 1 +0000",
		"no space": "A<a@b.c> 1 +0000", "no mail": "A 1 +0000",
		"nothing": "", "bad name": "A> <a@b.c> 1 +0000", "bad mail": "A <a@b.c 1 +0000",
		"mail in mail": "A <a@<b.c> 1 +0000",
		"no date":      "A <a@b.c> +0000", "no space before the date": "A <a@b.c>1 +0000",
		"padded": "A <a@b.c> 01 +0000", "zero": "A <a@b.c> 0 +0000",
		"far": "A <a@b.c> 99999999999999999999999 +0000", "two spaces": "A <a@b.c>  \t1 +0000",
		"odd zone": "A <a@b.c> 1 +051800", "no zone": "A <a@b.c> 1", "text zone": "A <a@b.c> 1 UTC",
	} {
		commits["author "+name] = good(ident)
	}
	for name, content := range map[string]string{
		"no tree":      "author " + who + "\ncommitter " + who + "\n\nx\n",
		"no author":    "tree " + inner + "\ncommitter " + who + "\n\nx\n",
		"no committer": "tree " + inner + "\nauthor " + who + "\n\nx\n",
		"two authors": "tree " + inner + "\nauthor " + who + "\nauthor " + who + "\ncommitter " +
			who + "\n\nx\n",
		"nul in message": good(who) + "\x00",
		"nul in header":  strings.Replace(good(who), "A <", "A\x00 <", 1),
		"no message":     strings.TrimSuffix(good(who), "\nx\n"),
		"more headers": strings.Replace(good(who), "\n\nx",
			"\nencoding latin1\ngpgsig x\n y\n\nx", 1),
		"unterminated": "tree " + inner + "\nauthor " + who + "\ncommitter " + who,
	} {
		commits["commit "+name] = content
	}
	for name, content := range commits {
		h := hashObject(t, r, "commit", content)
		takes, said := gitAccepts(t, r, h)
		o := r.Objects()
		err := o.Fsck(t.Context(), h, func(plumbing.Hash) bool { return true })
		o.Close()
		var broken *BrokenObject
		if err != nil && !errors.As(err, &broken) && takes {
			t.Errorf("%s: %v", name, err)
		} else if takes != (err == nil) {
			t.Errorf("%s: %v; git accepts it: %v\n%s", name, err, takes, said)
		} else if m := fsckWord.FindStringSubmatch(said); broken != nil && m != nil &&
			!strings.HasPrefix(broken.Why, m[1]) && !strings.Contains(broken.Why, "is named") {
			t.Errorf("%s: %v; git says\n%s", name, err, said)
		}
	}
}

// Modes that git accepts from old projects can be written.
func TestDeprecatedModes(t *testing.T) {
	r := newRepo(t)
	h := commit(t, r, "old", treeOf(t, r, [3]string{"100664", "a", blob(t, r, "x")},
		[3]string{"040000", "b", tree(t, r, "100644 blob "+blob(t, r, "y")+"\tc")}))
	if takes, said := gitAccepts(t, r, h); !takes {
		t.Fatal(said)
	}
	dir, err := writeTree(t, r, h)
	if err != nil {
		t.Fatal(err)
	}
	compareTrees(t, "written", readTree(t, dir), fresh(t, r, h))
}

func FuzzFsck(f *testing.F) {
	f.Add([]byte("100644 a\x00" + strings.Repeat("x", 20)))
	f.Add([]byte("tree " + Zero + "\nauthor A <a@b.c> 1 +0000\ncommitter A <a@b.c> 1 +0000\n\nx\n"))
	f.Add([]byte("[submodule \"a\"]\n\turl = ../../:x\n"))
	f.Fuzz(func(t *testing.T, content []byte) {
		entries, why := fsckTree(content)
		for _, e := range entries {
			if !safeName(e.name) || e.hash.IsZero() {
				t.Errorf("%q", e.name)
			}
		}
		if why == "" && len(entries) == 0 && len(content) > 0 {
			t.Error("no objection to a tree without entries")
		}
		fsckCommit(content)
		fsckModules(content)
		fsckAttributes(content)
	})
}
