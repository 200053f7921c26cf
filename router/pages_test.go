package router

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

func TestPreferred(t *testing.T) {
	for accept, want := range map[string]string{
		"":    "text",
		"*/*": "text",
		"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8": "html",
		"application/json, text/plain, */*":                               "json",
		"application/problem+json":                                        "json",
		"text/plain":                                                      "text",
		"text/html;q=0.1, application/json;q=0.2":                         "json",
		"Text/HTML; Q=1":                                                  "html",
		"text/html;q=0":                                                   "text",
		"text/html;q=x":                                                   "text",
		"image/png":                                                       "text",
	} {
		if got := preferred([]string{accept}); got != want {
			t.Errorf("%q: %s, want %s", accept, got, want)
		}
	}
}

// Each page in each format: the status, the text, and the headers for caches, sniffing and frames.
func TestPages(t *testing.T) {
	r := &Router{HoldTimeout: time.Millisecond}
	addr := start(t, r)
	r.Set("starting", Route{})
	r.Set("down", Route{State: Down})
	r.Set("mute",
		routeTo(startRawBackend(t, func(c net.Conn) { io.ReadFull(c, make([]byte, 20)) })))
	for _, c := range []struct {
		host, method string
		status       int
		says         string
		retry        bool
		refresh      bool
	}{
		{"nobody.localhost", "GET", 404, "There is no app at nobody.localhost", false, false},
		{"starting.localhost", "GET", 503, "This app is starting", true, true},
		{"starting.localhost", "POST", 503, "This app is starting", true, false},
		{"down.localhost", "GET", 503, "This app is down", true, false},
		{"mute.localhost", "GET", 502, "This app did not respond", false, false},
		{"localhost", "GET", 200, "Apps answer at", false, false},
		{"a..b", "GET", 400, "Bad request", false, false},
	} {
		for accept, kind := range map[string]string{"text/html": "text/html; charset=utf-8",
			"application/json": "application/json", "*/*": "text/plain; charset=utf-8"} {
			req := request(t, c.method, addr, c.host, "/", nil)
			req.Header.Set("Accept", accept)
			resp, body := do(t, client(t), req)
			h := resp.Header
			if resp.StatusCode != c.status || h.Get("Content-Type") != kind ||
				!strings.Contains(body, c.says) {
				t.Errorf("%s %s: %s %s %q", c.host, accept, resp.Status, h.Get("Content-Type"),
					body)
			}
			if h.Get("Cache-Control") != "no-store" ||
				h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Vary") != "Accept" ||
				!strings.Contains(h.Get("Content-Security-Policy"), "default-src 'none'") {
				t.Errorf("%s: %v", c.host, h)
			}
			if (h.Get("Retry-After") != "") != c.retry {
				t.Errorf("%s: Retry-After %q", c.host, h.Get("Retry-After"))
			}
			if accept == "text/html" &&
				strings.Contains(body, `http-equiv="refresh"`) != c.refresh {
				t.Errorf("%s %s: refreshes: %v", c.method, c.host, !c.refresh)
			}
			if accept == "application/json" && !json.Valid([]byte(body)) {
				t.Errorf("%s: %q", c.host, body)
			}
			if strings.Contains(body, "127.0.0.1") {
				t.Errorf("%s tells secrets: %q", c.host, body)
			}
		}
	}
	req := request(t, "HEAD", addr, "nobody.localhost", "/", nil)
	if resp, body := do(t, client(t), req); resp.StatusCode != 404 || body != "" ||
		resp.ContentLength <= 0 {
		t.Errorf("HEAD: %s %q %d", resp.Status, body, resp.ContentLength)
	}
}

// A host, path or request ID cannot inject markup into a page: such hosts are refused, and escaped
// all the same.
func TestPageEscapes(t *testing.T) {
	r := &Router{}
	addr := start(t, r)
	const evil = "<script>alert(1)</script>"
	for _, text := range []string{
		"GET / HTTP/1.1\r\nHost: " + evil + "\r\n",
		"GET /" + evil + " HTTP/1.1\r\nHost: x\r\n",
		"GET / HTTP/1.1\r\nHost: x\r\nX-Request-Id: " + evil + "\r\n",
	} {
		resp := sendRaw(t, addr, text+"Accept: text/html\r\n\r\n")
		if b, _ := io.ReadAll(resp.Body); strings.Contains(string(b), "<script") {
			t.Errorf("%q: %s", text, b)
		}
	}
	p := noApp(evil)
	p.ID = evil
	_, html := p.render("html")
	if body := string(html); strings.Contains(body, "<script") ||
		!strings.Contains(body, "&lt;script&gt;") {
		t.Errorf("not escaped: %s", body)
	}
}

// A page for a request whose body never arrives is sent, and the connection closes soon after.
func TestPageWithBodyUnread(t *testing.T) {
	r := &Router{}
	addr := start(t, r)
	c, br := dial(t, addr)
	fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: nobody.localhost\r\nContent-Length: 1000\r\n\r\nx")
	resp, err := http.ReadResponse(br, nil)
	if err != nil || resp.StatusCode != 404 || !resp.Close {
		t.Fatal(resp, err)
	}
	io.ReadAll(resp.Body)
	began := time.Now()
	if _, err := br.ReadByte(); err != io.EOF || time.Since(began) > 3*lingerTimeout {
		t.Errorf("%v after %v", err, time.Since(began))
	}
}
