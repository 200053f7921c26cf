package sidecar

import (
	"context"
	"errors"
	"fmt"
	"io"
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

	"paas/volume"
)

// script writes a program.
func script(t *testing.T, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

// A new version is told to the program and the URL, once each; one that failed is not.
func TestAnnounce(t *testing.T) {
	t.Setenv("PAAS_SECRET", "not for programs")
	var mu sync.Mutex
	var called []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		mu.Lock()
		defer mu.Unlock()
		called = append(called, r.Method+" "+r.Header.Get("Content-Type")+" "+string(body))
	}))
	defer server.Close()
	s := newStage(t, newClient(t))
	dump := filepath.Join(t.TempDir(), "dump")
	s.Exec = script(t, "echo $# >>"+dump+"; env >>"+dump+"; echo hello; printf 'no\\033[31m end' >&2")
	s.Call = server.URL + "/hush"
	s.runtime()
	r := newHosting(t).repo("blog")
	app := s.app("blog", volume.Source{URL: r.url, Every: rarely})
	for range 2 { // the second time there is no new version
		if out, err := s.sync(app); err != nil {
			t.Fatal(err, out)
		}
	}
	r.commit("bad", "fate", "fail build: no")
	if _, err := s.sync(app); err == nil {
		t.Fatal("all is well")
	}
	one := r.git("rev-parse", "HEAD~1")
	env, err := os.ReadFile(dump)
	if err != nil {
		t.Fatal(err)
	}
	contains(t, string(env), "PAAS_APP=blog\n", "PAAS_COMMIT="+one+"\n", "PAAS_RELEASE=v1\n", "PATH="+os.Getenv("PATH")+"\n", "HOME="+os.Getenv("HOME")+"\n")
	if strings.Contains(string(env), "not for programs") || strings.Count(string(env), "PAAS_APP=") != 1 || !strings.HasPrefix(string(env), "0\n") {
		t.Errorf("%s", env)
	}
	want := `POST application/json {"app":"blog","commit":"` + one + `","release":"v1","branch":"main","url":"http://blog.test"}`
	mu.Lock()
	defer mu.Unlock()
	if len(called) != 1 || called[0] != want {
		t.Errorf("%q, want %q", called, want)
	}
	for _, line := range []string{"line=hello", `line="no?[31m end"`, "msg=announced app=blog release=v1 by=exec", "msg=announced app=blog release=v1 by=call"} {
		if s.log.count(line) != 1 {
			t.Errorf("the log says %q %d times:\n%s", line, s.log.count(line), s.log.text.String())
		}
	}
	if s.log.count("hush") > 0 {
		t.Error("the log holds the URL")
	}
}

// The follower announces as well.
func TestAnnounceFollowed(t *testing.T) {
	s := newStage(t, newClient(t))
	dump := filepath.Join(t.TempDir(), "dump")
	s.Exec = script(t, "echo $PAAS_RELEASE >>"+dump)
	s.runtime()
	s.start()
	s.app("blog", volume.Source{URL: newHosting(t).repo("blog").url, Every: rarely})
	until(t, "the program ran", func() bool { content, _ := os.ReadFile(dump); return string(content) == "v1\n" })
}

func TestExecFails(t *testing.T) {
	s := newStage(t, nil)
	for text, want := range map[string]string{"exit 3": "exit status 3", "kill -9 $$": "signal: killed", "exit 0": "<nil>"} {
		s.Exec = script(t, text)
		if err := s.exec(t.Context(), version{}); fmt.Sprint(err) != want {
			t.Errorf("%s: %v", text, err)
		}
	}
	s.Exec = filepath.Join(t.TempDir(), "missing")
	if err := s.exec(t.Context(), version{}); !errors.Is(err, os.ErrNotExist) {
		t.Error(err)
	}
}

// When its time is over, all that the program started ends with it; and what it left running with
// its output open.
func TestExecKilled(t *testing.T) {
	s := newStage(t, nil)
	dir := t.TempDir()
	t.Run("late", func(t *testing.T) {
		s.Exec = script(t, "sleep 1000 & echo $! >"+dir+"/late.new; mv "+dir+"/late.new "+dir+"/late; wait")
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- s.exec(ctx, version{}) }()
		pid := pidIn(t, dir+"/late")
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
		until(t, "the sleeper is dead", func() bool { return dead(pid) })
	})
	t.Run("left", func(t *testing.T) {
		s.Exec = script(t, "sleep 1000 & echo $! >"+dir+"/left.new; mv "+dir+"/left.new "+dir+"/left")
		if err := s.exec(t.Context(), version{}); err != nil {
			t.Error(err)
		}
		pid := pidIn(t, dir+"/left")
		until(t, "the sleeper is dead", func() bool { return dead(pid) })
	})
}

func pidIn(t *testing.T, path string) (pid int) {
	t.Helper()
	until(t, path+" is there", func() bool {
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
	s := newStage(t, nil)
	s.Exec = script(t, "head -c 3000000 /dev/zero | tr '\\0' x; i=0; while [ $i -lt 500 ]; do echo line; i=$((i+1)); done")
	if err := s.exec(t.Context(), version{}); err != nil {
		t.Fatal(err)
	}
	if n := s.log.text.Len(); n > 100_000 {
		t.Errorf("%d bytes in the log", n)
	}
	if s.log.count("line=line") != maxSaid-1 || s.log.count("which is left out") != 1 {
		t.Errorf("%d lines", s.log.count("line=line"))
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
	s := newStage(t, nil)
	for path, want := range map[string]string{
		"/moved": "<nil>", "/round": "more than 5 redirects", "/other": "redirected to another scheme", "/broken": "it answers 500 Internal Server Error",
	} {
		s.Call = plain.URL + path
		if err := s.call(t.Context(), version{App: "blog"}); fmt.Sprint(err) != want {
			t.Errorf("%s: %v", path, err)
		}
	}
	plain.Close()
	for _, url := range []string{plain.URL + "/hush", "http://hush.invalid\x00/", "gopher://hush/"} {
		s.Call = url
		if err := s.call(t.Context(), version{}); err == nil || strings.Contains(err.Error(), "hush/") || strings.Contains(err.Error(), "/hush") {
			t.Error(err)
		}
	}
}

func TestInsist(t *testing.T) {
	for fails, wantTook := range map[int]time.Duration{0: 0, 1: time.Second, 3: 7 * time.Second, 9: 7 * time.Second} {
		synctest.Test(t, func(t *testing.T) {
			s := newStage(t, nil)
			tried, begin := 0, time.Now()
			s.insist(t.Context(), version{App: "blog"}, "call", func(context.Context, version) error {
				if tried++; tried <= fails {
					return errors.New("nobody there")
				}
				return nil
			})
			if took := time.Since(begin); took != wantTook || tried != min(fails+1, 4) {
				t.Errorf("%d failures: tried %d times in %s", fails, tried, took)
			}
			if fails > 3 && s.log.count(`err="nobody there"`) != 1 {
				t.Error(s.log.text.String())
			}
		})
	}
	synctest.Test(t, func(t *testing.T) { // who is told to stop does
		s := newStage(t, nil)
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		tried := 0
		s.insist(ctx, version{}, "call", func(context.Context, version) error { tried++; return errors.New("no") })
		if tried > 2 {
			t.Errorf("tried %d times", tried)
		}
	})
}
