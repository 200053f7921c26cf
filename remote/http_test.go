package remote

import (
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// seen counts the requests that reach a server.
type seen struct {
	mu       sync.Mutex
	requests []string
	peers    map[string]bool
	tokens   map[string]bool
}

func (s *seen) wrap(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.requests = append(s.requests, r.Method)
		if s.peers == nil {
			s.peers, s.tokens = map[string]bool{}, map[string]bool{}
		}
		s.peers[r.RemoteAddr] = true
		if a := r.Header.Get("Authorization"); a != "" {
			s.tokens[a] = true
		}
		s.mu.Unlock()
		h.ServeHTTP(w, r)
	})
}

func TestHTTPOneRequestPerHead(t *testing.T) {
	root := t.TempDir()
	newRepository(t, root, "repo.git").commit("main", map[string]string{"a": "1"})
	var s seen
	remote := Remote{URL: startWebServer(t, root, "", false, s.wrap).URL + "/repo.git"}
	c := newClient(t)
	for range 4 {
		if _, err := c.Head(t.Context(), remote, Ref{Branch: "main"}); err != nil {
			t.Fatal(err)
		}
	}
	if got := strings.Join(s.requests, " "); got != "GET POST POST POST POST" {
		t.Error(got)
	}
	if len(s.peers) != 1 {
		t.Errorf("%d connections", len(s.peers))
	}
}

func TestHTTPToken(t *testing.T) {
	root := t.TempDir()
	r := newRepository(t, root, "repo.git")
	commit := r.commit("main", map[string]string{"a": "1"})
	var s seen
	server := startWebServer(t, root, "right", false, s.wrap)
	c, dir := newClient(t), t.TempDir()+"/x"
	host := strings.TrimPrefix(server.URL, "http://")
	for _, user := range []string{"", "me@"} {
		fetchOK(t, c, Remote{URL: "http://" + user + host + "/repo.git", Token: "right"}, "main",
			dir, commit, map[string]string{"a": "1"})
	}
	users := map[string]bool{}
	for header := range s.tokens {
		req := http.Request{Header: http.Header{"Authorization": {header}}}
		user, _, _ := req.BasicAuth()
		users[user] = true
	}
	if len(users) != 2 || !users["git"] || !users["me"] {
		t.Error(users)
	}
	for token, words := range map[string]string{"": "requires a token",
		"wr0ng": "does not accept the token"} {
		for range 2 {
			_, err := c.Head(t.Context(), Remote{URL: server.URL + "/repo.git", Token: token},
				Ref{Branch: "main"})
			if !errors.Is(err, ErrAuth) || !strings.Contains(err.Error(), words) ||
				strings.Contains(err.Error(), "wr0ng") {
				t.Error(err)
			}
		}
	}
	_, err := c.Head(t.Context(), Remote{URL: "http://example.invalid/repo.git", Token: "right"},
		Ref{Branch: "main"})
	if !errors.Is(err, ErrAuth) || !strings.Contains(err.Error(), "use https://") {
		t.Error(err)
	}
}

func TestHTTPRedirect(t *testing.T) {
	root := t.TempDir()
	r := newRepository(t, root, "new.git")
	commit := r.commit("main", map[string]string{"a": "1"})
	var others seen
	other := startWebServer(t, root, "right", false, others.wrap)
	open := startWebServer(t, root, "", false, others.wrap)
	plain := startWebServer(t, root, "", false)
	moves := func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			from, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
			to, ok := map[string]string{
				"old.git": "/new.git/", "twice.git": "/old.git/", "other.git": other.URL +
					"/new.git/", "open.git": open.URL + "/new.git/",
				"round.git": "/round.git/", "login.git": "/login?from=", "down.git": plain.URL +
					"/new.git/", "file.git": "file:///etc/",
			}[from]
			if !ok {
				h.ServeHTTP(w, r)
				return
			}
			http.Redirect(w, r, to+rest+"?"+r.URL.RawQuery, http.StatusMovedPermanently)
		})
	}
	server := startWebServer(t, root, "right", false, moves)
	c := newClient(t)
	for name, words := range map[string]string{
		"old": "", "twice": "", "open": "", "other": "is not sent the token",
		"round": "redirects more than", "login": "not a repository", "file": "not http or https",
	} {
		for range 2 {
			head, err := c.Head(t.Context(),
				Remote{URL: server.URL + "/" + name + ".git", Token: "right"}, Ref{Branch: "main"})
			if words == "" && head.Commit != commit || words != "" &&
				(err == nil || !strings.Contains(err.Error(), words)) {
				t.Errorf("%s: %v, %v", name, head, err)
			}
		}
	}
	if len(others.tokens) > 0 {
		t.Error("another host got the token")
	}
	secure := httptest.NewTLSServer(moves(http.NotFoundHandler()))
	defer secure.Close()
	c = &Client{TLS: secure.Client().Transport.(*http.Transport).TLSClientConfig}
	defer c.Close()
	if _, err := c.Head(t.Context(), Remote{URL: secure.URL + "/down.git"}, Ref{Branch: "main"}); err == nil ||
		!strings.Contains(err.Error(), "from https to http") {
		t.Error(err)
	}
}

// Knowledge about a server is dropped when it turns out to be outdated.
func TestHTTPServerChanges(t *testing.T) {
	root := t.TempDir()
	r := newRepository(t, root, "repo.git")
	commit := r.commit("main", map[string]string{"a": "1"})
	r.git("", "clone", "-q", "--bare", ".", root+"/moved.git")
	var stage atomic.Int32
	server := startWebServer(t, root, "", false, func(h http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch stage.Load() {
			case 1: // an older server takes over
				r.Header.Del("Git-Protocol")
			case 2: // the repository was renamed
				if rest, ok := strings.CutPrefix(r.URL.Path, "/repo.git"); ok {
					http.Redirect(w, r, "/moved.git"+rest+"?"+r.URL.RawQuery, http.StatusFound)
					return
				}
			case 3: // now it is a web page
				fmt.Fprint(w, "<html>hello")
				return
			case 4:
				w.WriteHeader(http.StatusBadGateway)
				return
			}
			h.ServeHTTP(w, r)
		})
	})
	c := newClient(t)
	for _, step := range []struct {
		stage int32
		words string
	}{{0, ""}, {1, ""}, {0, ""}, {0, ""}, {2, ""}, {2, ""}, {3, "not a git repository"}, {0, ""},
		{4, "502"}, {0, ""}} {
		stage.Store(step.stage)
		head, err := c.Head(t.Context(), Remote{URL: server.URL + "/repo.git"}, Ref{Branch: "main"})
		if step.words == "" && head.Commit != commit || step.words != "" &&
			(err == nil || !strings.Contains(err.Error(), step.words)) {
			t.Errorf("%d: %v, %v", step.stage, head, err)
		}
	}
}
