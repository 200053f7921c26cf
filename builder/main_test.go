package builder

import (
	"archive/zip"
	"bytes"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"paas/builder/cmdline"
	"paas/engine/local/child"
	"paas/rig"
	"paas/volume"
)

// The test binary is also the paas binary's guard.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "guard" {
		child.GuardMain(os.Stdin, os.Stdout, os.Args[2])
		return
	}
	os.Exit(m.Run())
}

// newBuilder returns a builder whose keeper is closed at the end of the test.
func newBuilder(t *testing.T) *Builder {
	t.Helper()
	k := &child.Keeper{Root: t.TempDir(), Self: rig.Self()}
	if err := k.Open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
	return &Builder{Keeper: k}
}

// buildFiles builds files and returns the result, the log and the tree.
func buildFiles(
	t *testing.T, b *Builder, cache string, files map[string]string,
) (volume.Built, string, string, error) {
	t.Helper()
	out := &rig.Screen{}
	dir := rig.Tree(t, files)
	built, err := b.Build(t.Context(), Job{App: "blog", Tree: dir, Cache: cache, Out: out})
	return built, out.String(), dir, err
}

func mustBuild(
	t *testing.T, b *Builder, cache string, files map[string]string,
) (volume.Built, string, string) {
	t.Helper()
	built, out, dir, err := buildFiles(t, b, cache, files)
	if err != nil {
		t.Fatalf("err = %v; log:\n%s", err, out)
	}
	return built, out, dir
}

// printed runs a command line in what was built, as the engine does, and returns what it prints.
func printed(t *testing.T, b *Builder, tree string, built volume.Built, line string) string {
	t.Helper()
	env := cmdline.Base(nil)
	maps.Copy(env, built.Env)
	env["HOME"] = t.TempDir()
	env["PATH"] = strings.Join([]string{
		built.Env["PATH"], filepath.Join(tree, "node_modules/.bin"), os.Getenv("PATH"),
		filepath.Join(tree, binFolder),
	}, ":")
	out := &rig.Screen{}
	b.Keeper.Run(t.Context(), child.Command{
		Name: line,
		Argv: cmdline.Arguments(line),
		Dir:  tree,
		Env:  env,
		Out:  out,
	})
	return out.String()
}

// running returns the processes whose environment contains text.
func running(t *testing.T, text string) (pids []string) {
	t.Helper()
	files, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, file := range files {
		if content, err := os.ReadFile(file); err == nil &&
			strings.Contains(string(content), text) {
			pids = append(pids, file)
		}
	}
	return pids
}

// zipped returns a zip archive of files by path.
func zipped(t *testing.T, files map[string]string) string {
	t.Helper()
	var file bytes.Buffer
	z := zip.NewWriter(&file)
	for name, content := range files {
		w, err := z.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		w.Write([]byte(content))
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return file.String()
}
