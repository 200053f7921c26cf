package runtime

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"paas/volume"
)

// The test binary plays the paas binary too: the guard, and a server to be killed.
func TestMain(m *testing.M) {
	if len(os.Args) == 3 && os.Args[1] == "guard" {
		GuardMain(os.Stdin, os.Stdout, os.Args[2])
		return
	}
	if root := os.Getenv("TEST_SERVER_ROOT"); root != "" {
		serveUntilKilled(root)
		return
	}
	os.Exit(m.Run())
}

// newLocal is an engine on a root of its own, closed at the end, which must leave nothing behind.
func newLocal(t *testing.T) *Local {
	t.Helper()
	l := &Local{Root: t.TempDir(), Self: self()}
	if err := l.Open(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Error(err)
		}
		if left := (kin{mark: rootMark(l.Root)}).find(); len(left) > 0 {
			t.Errorf("left behind: %v", left)
		}
	})
	return l
}

// self is this test binary, without the second that the race detector sleeps at the end.
func self() []string { return []string{"/usr/bin/env", "GORACE=atexit_sleep_ms=0", os.Args[0]} }

// tree makes a folder of files, by path; those of bin/ are executable.
func tree(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	write(t, dir, files)
	return dir
}

func write(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, content := range files {
		path := filepath.Join(dir, name)
		mode := os.FileMode(0o644)
		if strings.HasPrefix(name, "bin/") {
			mode = 0o755
		}
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
	}
}

// screen is an output that tests look at while it grows.
type screen struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// eventually waits for what, or fails.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// begin starts one process of the given command line, stopped at the end.
func begin(t *testing.T, l *Local, spec Spec, line string) Process {
	t.Helper()
	if spec.Type == "" {
		spec.Type = "worker"
	}
	if spec.Tree == "" {
		spec.Tree = t.TempDir()
	}
	if spec.Out == nil {
		spec.Out = io.Discard
	}
	spec.App, spec.Release, spec.Index = "blog", 7, 1
	spec.Built.Processes = map[string]string{spec.Type: line}
	p, err := l.Start(spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Stop(0) })
	return p
}

// printed runs line to its end and returns what it printed.
func printed(t *testing.T, l *Local, spec Spec, line string) string {
	t.Helper()
	out := &screen{}
	spec.Out = out
	<-begin(t, l, spec, line).Done()
	return out.String()
}

// buildFiles builds files and returns the result, the output and the tree.
func buildFiles(t *testing.T, l *Local, cache string, files map[string]string) (volume.Built, string, string, error) {
	t.Helper()
	out := &screen{}
	dir := tree(t, files)
	built, err := l.Build(t.Context(), BuildJob{App: "blog", Tree: dir, Cache: cache, Out: out})
	return built, out.String(), dir, err
}

func mustBuild(t *testing.T, l *Local, cache string, files map[string]string) (volume.Built, string, string) {
	t.Helper()
	built, out, dir, err := buildFiles(t, l, cache, files)
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return built, out, dir
}

func wantIn(t *testing.T, what, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%s: no %q in:\n%.2000s", what, part, text)
		}
	}
}

func message(err error) string { return fmt.Sprint(err) }

// escapes is a shell's line that starts three children which leave session and parent, and hold
// the output.
const escapes = `for i in 1 2 3; do setsid sh -c 'echo gone; trap "" TERM; sleep 1000 & wait; sleep 1000' & done; `

// serveUntilKilled is a server with one app, whose children have left their session and parent.
func serveUntilKilled(root string) {
	l := &Local{Root: root, Self: self()}
	if err := l.Open(); err != nil {
		fmt.Println(err)
		return
	}
	for _, line := range []string{escapes + "sleep 1000", "sleep 1000"} {
		_, err := l.Start(Spec{App: "blog", Release: 1, Type: "worker", Tree: root, Out: io.Discard,
			Built: volume.Built{Processes: map[string]string{"worker": line}}})
		if err != nil {
			fmt.Println(err)
			return
		}
	}
	fmt.Println("life", l.life, l.guard.cmd.Process.Pid)
	select {}
}
