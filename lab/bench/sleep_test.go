//go:build linux

package main

import (
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// Only answers with status 200 count.
func TestAsk(t *testing.T) {
	var asked atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if asked.Add(1)%2 == 0 {
			w.WriteHeader(http.StatusServiceUnavailable)
		}
	}))
	defer server.Close()
	addr := strings.TrimPrefix(server.URL, "http://")
	if answered, _ := ask(t.Context(), target{addr: addr, host: addr},
		10); answered != 5 || asked.Load() != 10 {
		t.Errorf("%d of %d requests answered", answered, asked.Load())
	}
}

func TestFirstByte(t *testing.T) {
	const rest = 200 * time.Millisecond
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusOK)
		w.(http.Flusher).Flush()
		time.Sleep(rest)
	}))
	defer server.Close()
	addr := strings.TrimPrefix(server.URL, "http://")
	start := time.Now()
	took, err := firstByte(t.Context(), target{addr: addr, host: addr})
	if whole := time.Since(start); err != nil || took <= 0 || took > whole-rest/2 {
		t.Errorf("%v: the first byte after %s of %s", err, took, whole)
	}
}

func TestStarts(t *testing.T) {
	r := &server{root: t.TempDir()}
	if _, err := r.starts("blog"); err == nil {
		t.Error("there is no log, and no error")
	}
	logs := filepath.Join(r.root, "apps", "blog", "logs")
	if err := os.MkdirAll(logs, 0o755); err != nil {
		t.Fatal(err)
	}
	text := "2026 v1 starts\nlistening on port 1\n2026 v1 starts\n"
	if err := os.WriteFile(filepath.Join(logs, "web.1.log"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if n, err := r.starts("blog"); n != 2 || err != nil {
		t.Errorf("%d starts, %v", n, err)
	}
}
