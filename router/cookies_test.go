package router

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestOwnCookie(t *testing.T) {
	r := &Router{domain: "apps.example.com"}
	for cookie, want := range map[string]string{
		"a=b":                                  "a=b",
		"a=b; Path=/; Domain=apps.example.com": "a=b; Path=/",
		"a=b; domain = .Apps.Example.COM ;Secure": "a=b;Secure",
		"a=b; Domain=example.com":                 "a=b",
		"a=b; Domain=com":                         "a=b",
		"a=b;Domain=example.com.":                 "a=b",
		`a=b; Domain="example.com"`:               "a=b",
		"a=b; Domain=ex%61mple.com":               "a=b",
		"a=b; Domain=ｅxample.com":                 "a=b",
		"a=b; Domain=x.example.com; Domain=com":   "a=b; Domain=x.example.com",
		"a=b; Domain=blog.apps.example.com":       "a=b; Domain=blog.apps.example.com",
		"a=b; Domain=otherexample.com":            "a=b; Domain=otherexample.com",
		"a=b; Domain=www.customer.org":            "a=b; Domain=www.customer.org",
		"a=b; Domain=":                            "a=b; Domain=",
		"a=b; Domain":                             "a=b; Domain",
		"Domain=apps.example.com; Path=/":         "Domain=apps.example.com; Path=/",
	} {
		if got, changed := r.ownCookie(cookie); got != want || changed != (got != cookie) {
			t.Errorf("%s: %s", cookie, got)
		}
	}
}

// An app cannot set a cookie for its neighbours. It is told so once, in its own log.
func TestCookieForNeighbours(t *testing.T) {
	log := &appLogRecorder{}
	r, addr := startLogged(t, log)
	r.Set("blog", routeTo(startBackend(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Set-Cookie"] = []string{"a=b; Domain=localhost; HttpOnly", "c=d; Path=/"}
	})))
	for range 2 {
		resp, _ := do(t, client(t), request(t, "GET", addr, "blog.localhost", "/", nil))
		if got := resp.Header["Set-Cookie"]; !slices.Equal(got, []string{"a=b; HttpOnly", "c=d; Path=/"}) {
			t.Errorf("%q", got)
		}
	}
	waitFor(t, "a note", func() bool { log.mu.Lock(); defer log.mu.Unlock(); return len(log.notes) > 0 })
	if len(log.notes) > 1 || !strings.Contains(log.notes[0], "the cookie a ") {
		t.Errorf("%q", log.notes)
	}
}
