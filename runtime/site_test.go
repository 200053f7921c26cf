package runtime

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"paas/rig"
	"paas/runtime/health"
	"paas/volume"
)

func TestSite(t *testing.T) {
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
	m, p, err := servesSite(t, dir, "public", health.Check{Path: "/"})
	if err != nil || p.place.PID != 0 {
		t.Fatal(err, p.place.PID)
	}
	client := &http.Client{Transport: m.visitors(p), CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	ask := func(method, path string, header ...string) (*http.Response, string) {
		t.Helper()
		r, err := http.NewRequest(method, "http://localhost"+path, nil)
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
	m.in.stop(time.Minute)
	if time.Since(began) > 10*time.Second {
		t.Error("it took", time.Since(began))
	}
	if _, err := client.Get("http://localhost/"); err == nil {
		t.Error("it still answers")
	}
	if conn, err := m.in.loop.rt.Dial(t.Context(), "blog", p.place.Addr); err == nil {
		conn.Close()
		t.Error("visitors are still sent to it")
	}
}

// servesSite is a web process of static files that is healthy.
func servesSite(t *testing.T, tree, folder string, checks ...health.Check) (*member, *proc, error) {
	t.Helper()
	s := newStage(t)
	h := newLoop(s.runtime(), s.app)
	i := newInstance(h, 1)
	i.tree, i.built.Static, i.file.Checks = tree, folder, map[string][]health.Check{"web": checks}
	m := newMember(i, place{"web", 1}, "web", volume.Wanted{})
	i.members[m.place] = m
	h.units.want(volume.Wanted{}, m)
	t.Cleanup(func() { i.stop(0) })
	p, err := m.healthy(t.Context(), nil)
	return m, p, err
}

// visitors is how the front connects to the member's process.
func (m *member) visitors(p *proc) *http.Transport {
	return &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return m.in.loop.rt.Dial(ctx, m.in.loop.app.Name, p.place.Addr)
	}}
}

func TestSiteFolderLeavesTree(t *testing.T) {
	dir := t.TempDir()
	if err := os.Symlink(rig.Tree(t, map[string]string{"index.html": "secret"}), filepath.Join(dir, "public")); err != nil {
		t.Fatal(err)
	}
	if _, _, err := servesSite(t, dir, "public"); err == nil {
		t.Error("served")
	}
}

// Static files that cannot be opened for a while are served afterwards.
func TestSiteOpensLater(t *testing.T) {
	dir := t.TempDir()
	m, first, err := servesSite(t, dir, "public")
	if err == nil {
		t.Fatal("serves a folder that is not there")
	}
	if err := os.Mkdir(filepath.Join(dir, "public"), 0o755); err != nil {
		t.Fatal(err)
	}
	if _, err := m.healthy(t.Context(), first); err != nil {
		t.Errorf("not served once the folder is there: %v", err)
	}
}

// A visitor that never reads the end does not hold the stop beyond its grace.
func TestSiteStopForced(t *testing.T) {
	dir := rig.Tree(t, map[string]string{"index.html": "", "big": ""})
	if err := os.Truncate(filepath.Join(dir, "big"), 1<<30); err != nil {
		t.Fatal(err)
	}
	m, p, err := servesSite(t, dir, ".")
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: m.visitors(p)}
	answer, err := client.Get("http://localhost/big")
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	began := time.Now()
	m.in.stop(20 * time.Millisecond)
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
}
