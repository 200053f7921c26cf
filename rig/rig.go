// Package rig is what the tests of the runtime's packages, and of the whole binary, share: folders of files, an output to
// look at while it grows, a disk that is soon full. For tests alone.
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

// ExitAtOnce, in the environment of a program that has the race detector built in, keeps it from sleeping a second at the
// end, for threads that may still find a race.
const ExitAtOnce = "GORACE=atexit_sleep_ms=0"

// Self is the command that runs this test binary, which ends at once.
func Self() []string { return []string{"/usr/bin/env", ExitAtOnce, os.Args[0]} }

// Tree makes a folder of files, by path; those of bin/ are executable.
func Tree(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	Write(t, dir, files)
	return dir
}

// Write writes files, by path, into dir.
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

// Screen is an output that tests look at while it grows.
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

// Eventually waits for what, at most 15 s, or fails.
func Eventually(t testing.TB, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(15 * time.Second); !is(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("never: %s", what)
		}
	}
}

// WantIn fails where text lacks one of parts.
func WantIn(t testing.TB, what, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%s: no %q in:\n%.2000s", what, part, text)
		}
	}
}

// Message is err's, or "<nil>".
func Message(err error) string { return fmt.Sprint(err) }

// Need skips the test aloud where one of tools is not on this machine.
func Need(t testing.TB, tools ...string) {
	t.Helper()
	for _, tool := range tools {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("SKIP: %v", err)
		}
	}
}

// SmallDisk is a folder on a file system of a megabyte; the test is skipped aloud where there can be none.
func SmallDisk(t testing.TB) string {
	t.Helper()
	dir := t.TempDir()
	if err := mountSmall(dir); err != nil {
		t.Skipf("SKIP: no small file system to fill: %v", err)
	}
	t.Cleanup(func() { unmount(dir) })
	return dir
}
