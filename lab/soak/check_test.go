//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"paas/lab/proc"
)

func devNull(t *testing.T) *os.File {
	f, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

func row(n int, commit, state string) release {
	r := release{N: n, Commit: commit, Cause: "push"}
	r.Status.State = state
	return r
}

func TestHistoryFault(t *testing.T) {
	before := []release{row(1, "a", "retired"), row(2, "b", "live")}
	for _, c := range []struct {
		name  string
		now   []release
		wrong string
	}{
		{"the same", before, ""},
		{"one more", []release{row(1, "a", "retired"), row(2, "b", "retired"), row(3, "c", "live")}, ""},
		{"one less", []release{row(1, "a", "live")}, "there were 2 releases"},
		{"another commit", []release{row(1, "a", "retired"), row(2, "c", "live")}, "v2 was"},
		{"a hole", []release{row(1, "a", "retired"), row(2, "b", "retired"), row(4, "c", "live")},
			"v4 stands in the place of v3"},
		{"two live", []release{row(1, "a", "live"), row(2, "b", "live")}, "2 releases are live"},
		{"none live", []release{row(1, "a", "retired"), row(2, "b", "retired")}, "0 releases are live"},
	} {
		err := historyFault(before, c.now)
		if (err == nil) != (c.wrong == "") || err != nil && !strings.Contains(err.Error(), c.wrong) {
			t.Errorf("%s: %v, want %q", c.name, err, c.wrong)
		}
	}
}

func TestLeaks(t *testing.T) {
	first := figures{Files: 30, Sockets: 10, Threads: 15, Resident: 23 << 10}
	for _, c := range []struct {
		name string
		last figures
		race bool
		bad  bool
	}{
		{name: "the same", last: first},
		{name: "less", last: figures{1, 1, 1, 1}},
		{name: "somewhat more", last: figures{60, 50, 75, 173 << 10}},
		{name: "files", last: figures{61, 10, 15, 23 << 10}, bad: true},
		{name: "sockets", last: figures{30, 51, 15, 23 << 10}, bad: true},
		{name: "threads", last: figures{30, 10, 76, 23 << 10}, bad: true},
		{name: "memory", last: figures{30, 10, 15, 174 << 10}, bad: true},
		{name: "memory, with the race detector", last: figures{30, 10, 15, 174 << 10}, race: true},
	} {
		if err := leaks(first, c.last, c.race); (err != nil) != c.bad {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestNotesFault(t *testing.T) {
	a := &app{notes: map[string]string{"note-1": "x"},
		possible: map[string]string{"note-1\x00x": "x", "note-2\x00y": "y"}}
	for _, c := range []struct {
		notes map[string]string
		whole bool
	}{
		{map[string]string{"note-1": "x"}, true},
		{map[string]string{"note-1": "x", "note-2": "y"}, true}, // a write that was cut off may have happened
		{map[string]string{}, false},
		{map[string]string{"note-1": ""}, false},
		{map[string]string{"note-1": "x", "note-3": "z"}, false}, // from before the app was destroyed
	} {
		if err := a.notesFault(c.notes); (err == nil) != c.whole {
			t.Errorf("%v: %v", c.notes, err)
		}
	}
}

// left and filesLeft find processes, files, ports and locks.
func TestLeft(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{"tmp", "run", "apps/blog"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(left(root, "/no/paas"), filesLeft(root)); err != nil {
		t.Errorf("nothing is left, and found: %v", err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, _ := net.SplitHostPort(listener.Addr().String())
	lock, err := os.Create(filepath.Join(root, "apps/blog/turn"))
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(root, "tmp/abc"), 0o700); err != nil {
		t.Fatal(err)
	}
	sleeper := exec.Command("sleep", "60")
	sleeper.Env = []string{"PAAS_RUN=" + runMarker(root) + "life/blog.v1.web.1.x/"}
	if err := sleeper.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() {
		sleeper.Process.Kill()
		sleeper.Wait()
	}()
	var text string
	// A process has no environment during execve.
	for deadline := time.Now().Add(10 * time.Second); !strings.Contains(text, "blog.v1.web.1"); {
		if time.Now().After(deadline) {
			t.Fatalf("the process is not found: %s", text)
		}
		text = errors.Join(left(root, "/no/paas", port), filesLeft(root)).Error()
	}
	for _, part := range []string{"tmp/abc", "port " + port, "apps/blog/turn is locked"} {
		if !strings.Contains(text, part) {
			t.Errorf("no %q in %q", part, text)
		}
	}
}

func TestPushOutcome(t *testing.T) {
	for script, want := range map[string]outcome{
		"true": worked,
		"echo ' ! [remote rejected] main -> main (pre-receive hook declined)'; exit 1": refused,
		"echo 'Connection closed'; exit 128":                                           unknown,
		"kill -9 $$":                                                                   unknown,
	} {
		p := begin(proc.Command(context.Background(), os.Environ(), "sh", "-c", script))
		if got := pushOutcome(p); got != want {
			t.Errorf("%s: %v, want %v", script, got, want)
		}
	}
}

func TestSecret(t *testing.T) {
	file := secret{path: "/x"}
	environ := secret{path: "/proc/7/environ", telltale: "PAAS_APP=shop"}
	for _, c := range []struct {
		name string
		of   secret
		text string
		err  error
		kept bool
	}{
		{"a file that is read", file, "seen: {}", nil, false},
		{"a file that is not there", file, "", statusError{status: 507, text: "ENOENT"}, true},
		{"nobody answered", file, "", statusError{status: 503}, false},
		{"another's environment", environ, "seen: A=b\x00PAAS_APP=shop", nil, false},
		{"its own, of the same number", environ, "seen: A=b\x00PAAS_APP=blog", nil, true},
	} {
		if err := c.of.kept(c.text, c.err); (err == nil) != c.kept {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}

func TestFaults(t *testing.T) {
	s := &server{log: filepath.Join(t.TempDir(), "server.log")}
	for _, c := range []struct {
		more string
		want string
	}{
		{"level=INFO msg=serving\n", "[]"},
		{"==================\nWARNING: DATA RACE\n", "[WARNING: DATA RACE\n]"},
		{"level=INFO msg=serving\n", "[]"},
		{"http: panic serving 127.0.0.1: nil map\n", "[panic serving 127.0.0.1: nil map\n]"},
	} {
		f, err := os.OpenFile(s.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
		if err != nil {
			t.Fatal(err)
		}
		_, err = f.WriteString(c.more)
		f.Close()
		found, readErr := s.faults()
		if got := fmt.Sprint(found); got != c.want || errors.Join(err, readErr) != nil {
			t.Errorf("%q: %s, %v, %v, want %s", c.more, got, err, readErr, c.want)
		}
	}
}
