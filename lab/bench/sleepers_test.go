//go:build linux

package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// A copy has the app's files, but neither its id nor its user.
func TestCopyApp(t *testing.T) {
	r := &server{root: t.TempDir()}
	dir := filepath.Join(r.root, "apps", "app0")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"id": "one", "uid": "70001\n", "asleep.json": "{}"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.copyApp(t.Context(), "app0", "app1"); err != nil {
		t.Fatal(err)
	}
	read := func(name string) string {
		text, _ := os.ReadFile(filepath.Join(r.root, "apps", "app1", name))
		return string(text)
	}
	if id := read("id"); id == "" || id == "one" || read("uid") != "" || read("asleep.json") != "{}" {
		t.Errorf("identity %q, user %q, asleep %q", id, read("uid"), read("asleep.json"))
	}
	if err := r.copyApp(t.Context(), "app2", "app3"); err == nil {
		t.Error("there is no such app, and no error")
	}
}

// Each app is asked once. One that fails does not count, and does not delay the others.
func TestWakeAll(t *testing.T) {
	var mu sync.Mutex
	asked := map[string]int{}
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, _, _ := strings.Cut(r.Host, ".")
		mu.Lock()
		defer mu.Unlock()
		if asked[name]++; name == "app3" {
			w.WriteHeader(http.StatusBadGateway)
		}
	}))
	defer web.Close()
	at, err := url.Parse(web.URL)
	if err != nil {
		t.Fatal(err)
	}
	var apps []string
	for i := range 3 * wakers {
		apps = append(apps, fmt.Sprint("app", i))
	}
	r := &server{ssh: at, http: at}
	if n := r.wakeAll(t.Context(), apps); n != len(apps)-1 {
		t.Errorf("%d of %d answered", n, len(apps))
	}
	if len(asked) != len(apps) || asked["app3"] != 1 {
		t.Errorf("apps were asked so often: %v", asked)
	}
}
