package router

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

// hashOf returns the cheapest hash of a password.
func hashOf(t testing.TB, password string) string {
	t.Helper()
	hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return string(hash)
}

// A front in another process gets routes as JSON.
func TestRouteAsJSON(t *testing.T) {
	before := Route{
		Hosts: []string{"a.example"}, Addrs: []string{"127.0.0.1:1"}, State: Asleep,
		Redirects: map[string]string{"a.example": "b.example"}, Plain: true, HSTS: 1,
		HTTP2: true, Rules: Rules{
			Maintenance: true, Allow: []string{"::1"}, Users: map[string]string{"a": "b"}, MaxBody: 1,
		},
		Inner: true, Pages: map[string]string{"503": "<p>"},
	}
	text, err := json.Marshal(before)
	if err != nil {
		t.Fatal(err)
	}
	var after Route
	if err := json.Unmarshal(text, &after); err != nil || !reflect.DeepEqual(before, after) {
		t.Errorf("%+v, %v", after, err)
	}
	for field := range reflect.TypeFor[Route]().Fields() {
		if reflect.ValueOf(before).FieldByIndex(field.Index).IsZero() {
			t.Errorf("%s is not tested", field.Name)
		}
	}
}

// Maintenance answers every request, and wakes no app.
func TestMaintenance(t *testing.T) {
	r := &Router{Wake: func(app string) { t.Errorf("%s was woken", app) }}
	addr := start(t, r)
	r.Set("blog", Route{State: Asleep, Rules: Rules{Maintenance: true}})
	resp, body := do(t, client(t), request(t, "GET", addr, "blog.localhost", "/", nil))
	if resp.StatusCode != 503 || !strings.Contains(body, "Under maintenance") {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
	if resp.Header.Get("Retry-After") == "" {
		t.Error("no Retry-After")
	}
	r.Set("blog", routeTo(startReplying(t, "hello")))
	if _, body := get(t, addr, "blog.localhost"); body != "hello" {
		t.Errorf("after maintenance: %s", body)
	}
}

// An app's own page replaces the router's, except for clients that prefer JSON. The one for
// maintenance has a name of its own.
func TestOwnPages(t *testing.T) {
	r := &Router{}
	addr := start(t, r)
	pages := map[string]string{"503": "<p>closed", "maintenance": "<p>painting"}
	ask := func(accept string) (string, string) {
		req := request(t, "GET", addr, "blog.localhost", "/", nil)
		req.Header.Set("Accept", accept)
		resp, body := do(t, client(t), req)
		return body, resp.Header.Get("Content-Type")
	}
	r.Set("blog", Route{State: Down, Pages: pages})
	if body, kind := ask("text/html"); body != "<p>closed" || kind != "text/html; charset=utf-8" {
		t.Errorf("down: %s %s", kind, body)
	}
	if body, _ := ask("*/*"); body != "<p>closed" {
		t.Errorf("any type: %s", body)
	}
	if body, _ := ask("application/json"); !strings.HasPrefix(body, "{") {
		t.Errorf("JSON: %s", body)
	}
	r.Set("blog", Route{State: Down, Pages: pages, Rules: Rules{Maintenance: true}})
	if body, _ := ask("text/html"); body != "<p>painting" {
		t.Errorf("maintenance: %s", body)
	}
	delete(pages, "maintenance")
	r.Set("blog", Route{State: Down, Pages: map[string]string{"503": "<p>shut"}, Rules: Rules{Maintenance: true}})
	if body, _ := ask("text/html"); body != "<p>shut" {
		t.Errorf("maintenance without a page of its own: %s", body)
	}
}

func TestAllow(t *testing.T) {
	r := &Router{}
	addr := start(t, r)
	app := startReplying(t, "hello")
	for _, c := range []struct {
		allow  string
		status int
	}{
		{"127.0.0.1", 200}, {"127.0.0.0/8", 200}, {"192.0.2.1 127.0.0.1", 200},
		{"192.0.2.0/24", 403}, {"::1", 403}, {"nonsense", 403},
	} {
		r.Set("blog", Route{Addrs: []string{app}, Rules: Rules{Allow: strings.Fields(c.allow)}})
		if status, _ := get(t, addr, "blog.localhost"); status != c.status {
			t.Errorf("%s: %d", c.allow, status)
		}
	}
}

// An IPv4 client of a socket that takes both has an address of IPv6.
func TestAllowMapped(t *testing.T) {
	s := ruleSet{allow: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}}
	if !s.allows("::ffff:192.0.2.1") {
		t.Error("not allowed")
	}
}

func TestLogin(t *testing.T) {
	r := &Router{}
	addr := start(t, r)
	var seen atomic.Pointer[http.Header]
	app := startBackend(t, func(w http.ResponseWriter, req *http.Request) { seen.Store(&req.Header) })
	r.Set("blog", Route{Addrs: []string{app}, Rules: Rules{
		Users: map[string]string{"alice": hashOf(t, "a:ü"), "bob": hashOf(t, "b")},
	}})
	ask := func(authorization ...string) *http.Response {
		req := request(t, "GET", addr, "blog.localhost", "/", nil)
		req.Header["Authorization"] = authorization
		req.Header.Set("X-Forwarded-User", "mallory")
		resp, _ := do(t, client(t), req)
		return resp
	}
	basic := func(user, password string) string {
		req := &http.Request{Header: http.Header{}}
		req.SetBasicAuth(user, password)
		return req.Header.Get("Authorization")
	}
	if got := ask().Header.Get("WWW-Authenticate"); got != `Basic realm="blog.localhost", charset="UTF-8"` {
		t.Error(got)
	}
	for name, authorization := range map[string][]string{
		"none": nil, "empty": {""}, "wrong": {basic("alice", "b")}, "unknown": {basic("carol", "b")},
		"no password": {basic("alice", "")}, "another scheme": {"Bearer x"}, "not base64": {"Basic !"},
		"two": {basic("alice", "a:ü"), basic("alice", "a:ü")},
	} {
		if got := ask(authorization...).StatusCode; got != 401 {
			t.Errorf("%s: %d", name, got)
		}
	}
	if seen.Load() != nil {
		t.Error("the app got a request")
	}
	for range 2 { // the second one is remembered
		if got := ask(basic("alice", "a:ü")).StatusCode; got != 200 {
			t.Errorf("right: %d", got)
		}
	}
	if got := ask(strings.ToLower(basic("bob", "b")[:5]) + basic("bob", "b")[5:]).StatusCode; got != 200 {
		t.Errorf("the scheme in lower case: %d", got)
	}
	if got := seen.Load().Get("Authorization"); got != "" {
		t.Errorf("the app got the password: %s", got)
	}
	if got := seen.Load().Get("X-Forwarded-User"); got != "bob" {
		t.Errorf("the app got the user %q", got)
	}
	if got := ask(basic("alice", "b")).StatusCode; got != 401 {
		t.Errorf("wrong after right: %d", got)
	}
}

// Guesses from one address are answered in part without looking, and do not keep others from
// logging in.
func TestManyLogins(t *testing.T) {
	l := newLogins(map[string]string{"alice": hashOf(t, "a")})
	for n := range maxClientLogins {
		if !l.wait("192.0.2.1") {
			t.Fatalf("login %d does not wait", n)
		}
	}
	if l.wait("192.0.2.1") {
		t.Error("one too many of an address waits")
	}
	if !l.wait("192.0.2.2") {
		t.Error("another address has to leave")
	}
	for range maxClientLogins {
		l.done("192.0.2.1")
	}
	l.done("192.0.2.2")
	for n := range maxClientLogins {
		l.wait(fmt.Sprintf("2001:db8::%x", n))
	}
	if l.wait("2001:db8::ffff:1") {
		t.Error("one too many of a network waits")
	}
	if !l.wait("2001:db8:0:1::1") {
		t.Error("another network has to leave")
	}
	for n := range maxClientLogins {
		l.done(fmt.Sprintf("2001:db8::%x", n))
	}
	l.done("2001:db8:0:1::1")
	if len(l.waiting) > 0 || l.all > 0 {
		t.Errorf("%v wait", l.waiting)
	}
}

// Many requests of one page arrive at once, none of them remembered yet.
func TestLoginsAtOnce(t *testing.T) {
	r := &Router{}
	addr := start(t, r)
	r.Set("blog", Route{Addrs: []string{startReplying(t, "hello")}, Rules: Rules{
		Users: map[string]string{"alice": hashOf(t, "a")},
	}})
	var all sync.WaitGroup
	for range maxClientLogins {
		all.Go(func() {
			req := request(t, "GET", addr, "blog.localhost", "/", nil)
			req.SetBasicAuth("alice", "a")
			if resp, _ := do(t, client(t), req); resp.StatusCode != 200 {
				t.Error(resp.Status)
			}
		})
	}
	all.Wait()
}

func TestMaxBody(t *testing.T) {
	r := &Router{}
	addr := start(t, r)
	r.Set("blog", Route{Addrs: []string{startBackend(t, func(w http.ResponseWriter, req *http.Request) {
		n, err := req.Body.Read(make([]byte, 1))
		for err == nil {
			n, err = req.Body.Read(make([]byte, 64<<10))
		}
		fmt.Fprint(w, n)
	})}, Rules: Rules{MaxBody: 100_000}})
	for _, c := range []struct {
		name    string
		size    int
		chunked bool
		status  int
	}{
		{"small", 100, false, 200}, {"largest", 100_000, false, 200}, {"too large", 100_001, false, 413},
		{"chunked", 100_000, true, 200}, {"chunked, too large", 100_001, true, 413},
	} {
		req := request(t, "POST", addr, "blog.localhost", "/", strings.NewReader(repeat(c.size)))
		if c.chunked {
			req.ContentLength = -1
		}
		if resp, _ := do(t, client(t), req); resp.StatusCode != c.status {
			t.Errorf("%s: %s", c.name, resp.Status)
		}
	}
	resp := sendRaw(t, addr, "POST / HTTP/1.1\r\nHost: blog.localhost\r\nExpect: 100-continue\r\n"+
		"Content-Length: 100001\r\n\r\n")
	if resp.StatusCode != 413 {
		t.Errorf("before its body: %s", resp.Status)
	}
}
