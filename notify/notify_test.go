package notify

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"paas/rig"
)

// record is what was logged.
type record struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (r *record) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text.Write(p)
}

func (r *record) count(words string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Count(r.text.String(), words)
}

// logged is a notifier and what it logs.
func logged() (Notifier, *record) {
	r := new(record)
	return Notifier{Log: slog.New(slog.NewTextHandler(r, nil))}, r
}

// script writes a program.
func script(t *testing.T, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// A new version is told to the program and to the URL, once each.
func TestAnnounce(t *testing.T) {
	t.Setenv("PAAS_SECRET", "not for programs")
	var called []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		called = append(called, r.Method+" "+r.Header.Get("Content-Type")+" "+string(body))
	}))
	defer server.Close()
	n, log := logged()
	dump := filepath.Join(t.TempDir(), "dump")
	n.Exec = script(
		t, "echo $# >>"+dump+"; env >>"+dump+"; echo hello; printf 'no\\033[31m end' >&2",
	)
	n.Call = server.URL + "/hush"
	n.Announce(
		t.Context(),
		Version{
			App:     "blog",
			Commit:  "0123abc",
			Release: "v1",
			Branch:  "main",
			URL:     "http://blog.test",
		},
	)
	server.Close() // after it nothing is called any more
	content, err := os.ReadFile(dump)
	if err != nil {
		t.Fatal(err)
	}
	env := string(content)
	for _, words := range []string{"PAAS_APP=blog\n", "PAAS_COMMIT=0123abc\n", "PAAS_RELEASE=v1\n", "PATH=" + os.Getenv("PATH") + "\n", "HOME=" + os.Getenv("HOME") + "\n"} {
		if !strings.Contains(env, words) {
			t.Errorf("the environment lacks %q", words)
		}
	}
	if strings.Contains(env, "not for programs") {
		t.Error("the environment has a variable of the server")
	}
	if strings.Count(env, "PAAS_APP=") != 1 {
		t.Errorf("not run once:\n%s", env)
	}
	if !strings.HasPrefix(env, "0\n") {
		t.Errorf("the program had arguments:\n%s", env)
	}
	want := `POST application/json {"app":"blog","commit":"0123abc","release":"v1","branch":"main","url":"http://blog.test"}`
	if len(called) != 1 || called[0] != want {
		t.Errorf("%q, want %q", called, want)
	}
	for _, line := range []string{"line=hello", `line="no?[31m end"`, "msg=announced app=blog release=v1 by=exec", "msg=announced app=blog release=v1 by=call"} {
		if n := log.count(line); n != 1 {
			t.Errorf("the log has %q %d times:\n%s", line, n, log.text.String())
		}
	}
	if log.count("hush") > 0 {
		t.Error("the log holds the URL")
	}
}

// Without a program and a URL there is nothing to do.
func TestAnnounceToNobody(t *testing.T) {
	n, log := logged()
	n.Announce(t.Context(), Version{App: "blog"})
	if log.text.Len() > 0 {
		t.Error(log.text.String())
	}
}

func TestExecFails(t *testing.T) {
	n, _ := logged()
	for text, want := range map[string]string{"exit 3": "exit status 3", "kill -9 $$": "signal: killed", "exit 0": "<nil>"} {
		n.Exec = script(t, text)
		if err := n.exec(t.Context(), Version{}); fmt.Sprint(err) != want {
			t.Errorf("%s: %v", text, err)
		}
	}
	n.Exec = filepath.Join(t.TempDir(), "missing")
	if err := n.exec(t.Context(), Version{}); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// When its time is over, all that the program started ends with it; and what it left running with
// its output open.
func TestExecKilled(t *testing.T) {
	n, _ := logged()
	dir := t.TempDir()
	t.Run("late", func(t *testing.T) {
		n.Exec = script(
			t, "sleep 1000 & echo $! >"+dir+"/late.new; mv "+dir+"/late.new "+dir+"/late; wait",
		)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- n.exec(ctx, Version{}) }()
		pid := pidIn(t, dir+"/late")
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		rig.Eventually(t, "the sleeper is dead", func() bool { return dead(pid) })
	})
	t.Run("left", func(t *testing.T) {
		n.Exec = script(
			t, "sleep 1000 & echo $! >"+dir+"/left.new; mv "+dir+"/left.new "+dir+"/left",
		)
		if err := n.exec(t.Context(), Version{}); err != nil {
			t.Error(err)
		}
		pid := pidIn(t, dir+"/left")
		rig.Eventually(t, "the sleeper is dead", func() bool { return dead(pid) })
	})
}

func pidIn(t *testing.T, path string) (pid int) {
	t.Helper()
	rig.Eventually(t, path+" is there", func() bool {
		content, err := os.ReadFile(path)
		if err == nil {
			fmt.Sscan(string(content), &pid)
		}
		return pid > 0
	})
	return pid
}

// dead says whether a process has ended; one that nobody has waited for yet has.
func dead(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return true
	}
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	return err == nil && strings.Contains(string(stat), ") Z ")
}

// A program that talks without end fills neither memory nor log.
func TestExecTalks(t *testing.T) {
	n, log := logged()
	n.Exec = script(
		t,
		"head -c 3000000 /dev/zero | tr '\\0' x; i=0; while [ $i -lt 500 ]; do echo line; i=$((i+1)); done",
	)
	if err := n.exec(t.Context(), Version{}); err != nil {
		t.Fatal(err)
	}
	if size := log.text.Len(); size > 100_000 {
		t.Errorf("%d bytes in the log", size)
	}
	if log.count("line=line") != maxSaid-1 || log.count("which is left out") != 1 {
		t.Errorf("%d lines", log.count("line=line"))
	}
}

func TestCallFails(t *testing.T) {
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/moved":
			http.Redirect(w, r, "/there", http.StatusTemporaryRedirect)
		case "/there":
			if body, _ := io.ReadAll(r.Body); r.Method != http.MethodPost || len(body) == 0 {
				http.Error(w, "lost on the way", http.StatusBadRequest)
			}
		case "/round":
			http.Redirect(w, r, "/round", http.StatusTemporaryRedirect)
		case "/other":
			http.Redirect(w, r, "https://127.0.0.1:1/", http.StatusTemporaryRedirect)
		case "/broken":
			http.Error(w, "secret", http.StatusInternalServerError)
		}
	}))
	defer plain.Close()
	n, _ := logged()
	for path, want := range map[string]string{
		"/moved": "<nil>", "/round": "more than 5 redirects", "/other": "redirected to another scheme", "/broken": "it answers 500 Internal Server Error",
	} {
		n.Call = plain.URL + path
		if err := n.call(t.Context(), Version{App: "blog"}); fmt.Sprint(err) != want {
			t.Errorf("%s: %v", path, err)
		}
	}
	plain.Close()
	for _, url := range []string{plain.URL + "/hush", "http://hush.invalid\x00/", "gopher://hush/"} {
		n.Call = url
		err := n.call(t.Context(), Version{})
		if err == nil || strings.Contains(err.Error(), "hush/") ||
			strings.Contains(err.Error(), "/hush") {
			t.Error(err)
		}
	}
}

func TestInsist(t *testing.T) {
	for fails, wantTook := range map[int]time.Duration{0: 0, 1: time.Second, 3: 7 * time.Second, 9: 7 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			n, log := logged()
			tried, begin := 0, time.Now()
			n.insist(
				t.Context(),
				Version{App: "blog"},
				"call",
				func(context.Context, Version) error {
					if tried++; tried <= fails {
						return errors.New("nobody there")
					}
					return nil
				},
			)
			if took := time.Since(begin); took != wantTook || tried != min(fails+1, 4) {
				t.Errorf("%d failures: tried %d times in %s", fails, tried, took)
			}
			if fails > 3 && log.count(`err="nobody there"`) != 1 {
				t.Error(log.text.String())
			}
		})
	}
	synctest.Test(t, func(t *testing.T) { // who is told to stop does
		n, _ := logged()
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		tried := 0
		n.insist(
			ctx, Version{}, "call",
			func(context.Context, Version) error { tried++; return errors.New("no") },
		)
		if tried > 2 {
			t.Errorf("tried %d times", tried)
		}
	})
}
