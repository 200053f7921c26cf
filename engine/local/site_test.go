package local

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paas/rig"
	"paas/runtime"
	"paas/runtime/health"
	"paas/volume"
)

func TestSite(t *testing.T) {
	l := newLocal(t)
	outside := rig.Tree(t, map[string]string{"secret.txt": "secret", "sub/index.html": "secret"})
	dir := rig.Tree(t, map[string]string{
		"Procfile": "not below public", "public/index.html": "<h1>home</h1>", "public/style.css": "body{}", "public/404.html": "lost",
		"public/docs/index.html": "docs", "public/.env": "secret", "public/.git/config": "secret", "public/a/.hidden/x": "secret",
		"public/.well-known/acme": "token", "public/empty/x.txt": "0123456789",
	})
	for link, target := range map[string]string{"out.txt": outside + "/secret.txt", "out": outside + "/sub", "up": "../Procfile", "in.css": "style.css"} {
		if err := os.Symlink(target, filepath.Join(dir, "public", link)); err != nil {
			t.Fatal(err)
		}
	}
	p, err := l.Start(runtime.Spec{App: "blog", Type: "web", Tree: dir, Built: volume.Built{Kind: "static", Static: "public"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := await(t, p, 0, health.Check{Path: "/"}); err != nil || p.PID() != 0 {
		t.Fatal(err, p.PID())
	}
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	ask := func(method, path string, header ...string) (*http.Response, string) {
		t.Helper()
		r, err := http.NewRequest(method, "http://"+p.Addr()+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		body, _ := io.ReadAll(answer.Body)
		return answer, string(body)
	}
	for _, test := range []struct {
		path string
		code int
		body string
	}{
		{"/", 200, "<h1>home</h1>"}, {"/index.html", 200, "<h1>home</h1>"}, {"/style.css", 200, "body{}"}, {"/in.css", 200, "body{}"},
		{"/docs/", 200, "docs"}, {"/docs", 301, ""}, {"/docs?q=1", 301, ""}, {"/.well-known/acme", 200, "token"},
		{"/missing", 404, "lost"}, {"/style.css/", 404, "lost"}, {"/empty/", 404, "lost"},
		{"/.env", 404, "lost"}, {"/.git/config", 404, "lost"}, {"/a/.hidden/x", 404, "lost"}, {"/%2egit/config", 404, "lost"},
		{"/../Procfile", 404, "lost"}, {"/%2e%2e/Procfile", 404, "lost"}, {"/..%2fProcfile", 404, "lost"},
		{"/out.txt", 404, "lost"}, {"/out/", 404, "lost"}, {"/out/index.html", 404, "lost"}, {"/up", 404, "lost"}, {"/a%00b", 404, "lost"},
	} {
		answer, body := ask("GET", test.path)
		if answer.StatusCode != test.code || body != test.body {
			t.Errorf("%s: %d %q", test.path, answer.StatusCode, body)
		}
	}
	if answer, _ := ask("GET", "/docs?q=1"); answer.Header.Get("Location") != "./docs/?q=1" {
		t.Error(answer.Header)
	}
	answer, _ := ask("GET", "//docs")
	if to := answer.Header.Get("Location"); to != "./docs/" {
		t.Errorf("//docs leads to %q", to)
	}
	answer, body := ask("HEAD", "/style.css")
	if body != "" || !strings.HasPrefix(answer.Header.Get("Content-Type"), "text/css") || answer.ContentLength != 6 {
		t.Errorf("%v %q", answer.Header, body)
	}
	if answer, _ = ask("GET", "/style.css", "If-None-Match", answer.Header.Get("ETag")); answer.StatusCode != 304 {
		t.Error(answer.Status)
	}
	if answer, body = ask("GET", "/empty/x.txt", "Range", "bytes=2-4"); answer.StatusCode != 206 || body != "234" {
		t.Error(answer.Status, body)
	}
	if answer, _ = ask("POST", "/"); answer.StatusCode != 405 || answer.Header.Get("Allow") != "GET, HEAD" {
		t.Error(answer.Status)
	}

	began := time.Now()
	p.Stop(time.Minute)
	if _, err := client.Get("http://" + p.Addr()); err == nil || p.Err() != nil || time.Since(began) > 10*time.Second {
		t.Error("it still answers", p.Err())
	}
	if len(l.ports) != 0 {
		t.Errorf("ports kept: %v", l.ports)
	}
}

func TestSiteFolderLeavesTree(t *testing.T) {
	l := newLocal(t)
	dir := t.TempDir()
	if err := os.Symlink(rig.Tree(t, map[string]string{"index.html": "secret"}), filepath.Join(dir, "public")); err != nil {
		t.Fatal(err)
	}
	if p, err := l.Start(runtime.Spec{Type: "web", Tree: dir, Built: volume.Built{Static: "public"}}); err == nil {
		p.Stop(0)
		t.Error("served")
	}
}

// A visitor that never reads the end does not hold the stop beyond its grace.
func TestSiteStopForced(t *testing.T) {
	l := newLocal(t)
	dir := rig.Tree(t, map[string]string{"index.html": "", "big": ""})
	if err := os.Truncate(filepath.Join(dir, "big"), 1<<30); err != nil {
		t.Fatal(err)
	}
	p, err := l.Start(runtime.Spec{Type: "web", Tree: dir, Built: volume.Built{Static: "."}})
	if err != nil {
		t.Fatal(err)
	}
	answer, err := http.Get("http://" + p.Addr() + "/big")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	began := time.Now()
	p.Stop(20 * time.Millisecond)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
}
