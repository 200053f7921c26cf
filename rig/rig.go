// Package rig has helpers for tests: folders of files, an output that can be read while it grows, a
// small disk, tests as another user. Only tests import it.
package rig

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// ExitAtOnce is an environment variable for programs built with the race detector. Without it they
// sleep for a second before they exit, to catch late races.
const ExitAtOnce = "GORACE=atexit_sleep_ms=0"

// Self returns the command line that runs this test binary with [ExitAtOnce].
func Self() []string { return []string{"/usr/bin/env", ExitAtOnce, os.Args[0]} }

// Tree writes files, given by path, into a new folder and returns it. Those in bin/ are executable.
func Tree(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	Write(t, dir, files)
	return dir
}

// Write writes files, given by path, into dir. Those in bin/ are executable.
func Write(t testing.TB, dir string, files map[string]string) {
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

// Screen is an output that tests can read while it grows.
type Screen struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (s *Screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *Screen) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

// Patience is how long tests wait for what takes a moment. It is long because a busy machine is no
// reason to fail, and only a failing test waits for all of it.
const Patience = 2 * time.Minute

// Eventually waits until is returns true. It fails the test after [Patience].
func Eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(Patience); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", Patience, what)
		}
	}
}

// WantIn fails the test for each of parts that text lacks.
func WantIn(t testing.TB, what, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%s: no %q in:\n%.2000s", what, part, text)
		}
	}
}

// Message returns the message of err, or "<nil>".
func Message(err error) string { return fmt.Sprint(err) }

// Need skips the test if this machine lacks one of tools.
func Need(t testing.TB, tools ...string) {
	t.Helper()
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("SKIP: %v", err)
		}
	}
}

// SmallDisk returns a folder on a file system of 1 MB. It skips the test if it cannot mount one.
func SmallDisk(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := mountSmall(dir); err != nil {
		t.Skipf("SKIP: cannot mount a small disk: %v", err)
	}
	t.Cleanup(func() { unmount(dir) })
	return dir
}
