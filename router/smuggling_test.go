package router

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
)

// recorder starts a process that responds to every request with 200 and records it as it arrived.
func recorder(t *testing.T) (addr string, seen chan string) {
	seen = make(chan string, 100)
	return startBackend(t, func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			body = []byte("broken")
		}
		seen <- fmt.Sprintf("%s %s %d %v %s", req.Method, req.RequestURI, req.ContentLength,
			req.TransferEncoding, body)
	}), seen
}

// A request that two servers could interpret differently is refused and its connection closed. The
// app sees neither it nor a request hidden in it.
func TestSmuggling(t *testing.T) {
	const hidden = "GET /hidden HTTP/1.1\r\nHost: blog.localhost\r\n\r\n"
	const chunks = "0\r\n\r\n"
	for name, c := range map[string]struct {
		head   string // after the request line and Host
		body   string
		status int
	}{
		"both framings": {"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
			chunks, 400},
		"both, the other way around": {"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
			chunks, 400},
		"both, one misspelt in case": {"content-length: 5\r\ntRANSFER-eNCODING: CHUNKED\r\n",
			chunks, 400},
		"both, length 0": {"Content-Length: 0\r\nTransfer-Encoding: chunked\r\n",
			chunks, 400},
		"two lengths":            {"Content-Length: 1\r\nContent-Length: 2\r\n", "xx", 400},
		"two equal lengths":      {"Content-Length: 2\r\nContent-Length: 2\r\n", "xx", 400},
		"list of lengths":        {"Content-Length: 2, 2\r\n", "xx", 400},
		"length with a sign":     {"Content-Length: +2\r\n", "xx", 400},
		"negative length":        {"Content-Length: -2\r\n", "xx", 400},
		"hexadecimal length":     {"Content-Length: 0x2\r\n", "xx", 400},
		"length with underscore": {"Content-Length: 1_0\r\n", "xx", 400},
		"no length":              {"Content-Length:\r\n", "", 400},
		"length with a space":    {"Content-Length: 1 0\r\n", "xx", 400},
		"length past 64 bits":    {"Content-Length: 18446744073709551618\r\n", "xx", 400},
		"length past 63 bits":    {"Content-Length: 9223372036854775808\r\n", "xx", 400},
		"another digit":          {"Content-Length: \u0662\r\n", "xx", 400},
		"chunked twice":          {"Transfer-Encoding: chunked, chunked\r\n", chunks, 501},
		"chunked in two lines": {"Transfer-Encoding: chunked\r\n" +
			"Transfer-Encoding: chunked\r\n", chunks, 501},
		"chunked and not":               {"Transfer-Encoding: chunked, identity\r\n", chunks, 501},
		"not and chunked":               {"Transfer-Encoding: identity, chunked\r\n", chunks, 501},
		"identity":                      {"Transfer-Encoding: identity\r\n", chunks, 501},
		"xchunked":                      {"Transfer-Encoding: xchunked\r\n", chunks, 501},
		"quoted":                        {"Transfer-Encoding: \"chunked\"\r\n", chunks, 501},
		"chunked with a parameter":      {"Transfer-Encoding: chunked;x=y\r\n", chunks, 501},
		"empty coding":                  {"Transfer-Encoding:\r\n", chunks, 501},
		"vertical tab before the value": {"Transfer-Encoding: \vchunked\r\n", chunks, 400},
		"space before the colon":        {"Transfer-Encoding : chunked\r\n", chunks, 400},
		"tab before the colon":          {"Content-Length\t: 5\r\n", chunks, 400},
		"space before the name":         {" Transfer-Encoding: chunked\r\n", chunks, 400},
		"folded":                        {"X: a\r\n Transfer-Encoding: chunked\r\n", chunks, 400},
		"folded value":                  {"Transfer-Encoding:\r\n chunked\r\n", chunks, 400},
		"bare line feed":                {"X: a\nTransfer-Encoding: chunked\r\n", chunks, 400},
		"bare carriage return":          {"X: a\rTransfer-Encoding: chunked\r\n", chunks, 400},
		"carriage return twice":         {"X: a\r\r\n", "", 400},
		"NUL in a value":                {"X: a\x00b\r\n", "", 400},
		"NUL in a name":                 {"X\x00: a\r\n", "", 400},
		"DEL in a value":                {"X: a\x7fb\r\n", "", 400},
		"no colon":                      {"Transfer-Encoding\r\n", "", 400},
		"no name":                       {": chunked\r\n", "", 400},
		"name in brackets":              {"(X): a\r\n", "", 400},
		"name that is not ASCII":        {"\u00dc: a\r\n", "", 400},
		"a second Host":                 {"Host: other.localhost\r\n", "", 400},
	} {
		t.Run(name, func(t *testing.T) {
			r := &Router{}
			addr := start(t, r)
			app, seen := recorder(t)
			r.Set("blog", routeTo(app))
			nc, br := dial(t, addr)
			io.WriteString(nc, "POST / HTTP/1.1\r\nHost: blog.localhost\r\n"+c.head+"\r\n"+
				c.body+hidden)
			resp, err := http.ReadResponse(br, nil)
			if err != nil || resp.StatusCode != c.status || !resp.Close {
				t.Fatalf("%v %v, want %d", resp, err, c.status)
			}
			io.Copy(io.Discard, resp.Body)
			if rest, err := io.ReadAll(br); len(rest) > 0 || err != nil {
				t.Errorf("after the answer: %q %v", rest, err)
			}
			if len(seen) > 0 {
				t.Errorf("the app saw %q", <-seen)
			}
		})
	}
}

// Request lines, well-formed and malformed.
func TestRequestLine(t *testing.T) {
	r := &Router{}
	addr := start(t, r)
	app, seen := recorder(t)
	r.Set("blog", routeTo(app))
	const host = " HTTP/1.1\r\nHost: blog.localhost\r\n\r\n"
	for text, want := range map[string]any{
		"GET / HTTP/1.1\nHost: blog.localhost\n\n":        400,
		"GET /\r\nHost: blog.localhost\r\n\r\n":           400,
		"GET  /" + host:                                   400,
		"GET / x" + host:                                  400,
		"GET\t/" + host:                                   400,
		" GET /" + host:                                   400,
		"G(T /" + host:                                    400,
		"GET /a\x00b" + host:                              400,
		"GET /a\x7fb" + host:                              400,
		"GET /%zz" + host:                                 400,
		"GET /%2" + host:                                  400,
		"GET blog.localhost" + host:                       400,
		"GET *" + host:                                    400,
		"GET ftp://blog.localhost/" + host:                400,
		"GET / HTTP/1.1\r\n\r\n":                          400,
		"GET / HTTP/1.10\r\nHost: blog.localhost\r\n\r\n": 400,
		"GET / HTTP/+1.1\r\nHost: blog.localhost\r\n\r\n": 400,
		"GET / http/1.1\r\nHost: blog.localhost\r\n\r\n":  400,
		"GET / HTTP/2.0\r\nHost: blog.localhost\r\n\r\n":  505,
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n":                505,
		"GET / HTTP/0.9\r\nHost: blog.localhost\r\n\r\n":  505,
		"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n":            400,
		"POST / HTTP/1.0\r\nHost: blog.localhost\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n": 400,
		"POST / HTTP/1.1\r\nHost: blog.localhost\r\nExpect: tea\r\nContent-Length: 1\r\n\r\nx":   417,

		"GET /a?b=%zz" + host:                "GET /a?b=%zz 0 [] ",
		"GET //a/../b/./c;d" + host:          "GET //a/../b/./c;d 0 [] ",
		"\r\n\r\nGET /" + host:               "GET / 0 [] ",
		"PURGE /x" + host:                    "PURGE /x 0 [] ",
		"GET http://blog.localhost" + host:   "GET / 0 [] ",
		"GET HTTP://blog.localhost?q" + host: "GET /?q 0 [] ",
		"GET http://BLOG.localhost:80/x HTTP/1.1\r\nHost: other.localhost\r\n\r\n": "GET /x 0 [] ",
		"GET / HTTP/1.0\r\nHost: blog.localhost\r\n\r\n":                           "GET / 0 [] ",
		"GET / HTTP/1.2\r\nHost: blog.localhost\r\n\r\n":                           "GET / 0 [] ",
		"GET /" + strings.Repeat("x", 10_000) + host: "GET /" +
			strings.Repeat("x", 10_000) + " 0 [] ",
		"POST / HTTP/1.1\r\nHost: blog.localhost\r\nX_Y: 1\r\nContent_Length: 7\r\n" +
			"Transfer_Encoding: chunked\r\nContent-Length: 2\r\n\r\nhi": "POST / 2 [] hi",
	} {
		resp := sendRaw(t, addr, text)
		if status, refused := want.(int); refused {
			if resp.StatusCode != status || !resp.Close {
				t.Errorf("%.60q: %s, want %d and the end", text, resp.Status, status)
			}
		} else if resp.StatusCode != 200 {
			t.Errorf("%.60q: %s", text, resp.Status)
		} else if got := <-seen; got != want {
			t.Errorf("%.60q: the app saw %.60q", text, got)
		}
	}
	if len(seen) > 0 {
		t.Errorf("the app also saw %q", <-seen)
	}
}

// Chunks, well-formed and malformed. A malformed body never looks complete to the app, and what
// follows it is not taken for a request.
func TestChunks(t *testing.T) {
	const hidden = "GET /hidden HTTP/1.1\r\nHost: blog.localhost\r\n\r\n"
	for body, want := range map[string]string{
		"2\r\nhi\r\n0\r\n\r\n":                               "hi",
		"2;x=y\r\nhi\r\n0;z=\"a;b\"\r\n\r\n":                 "hi",
		"02 \r\nhi\r\n000\r\n\r\n":                           "hi",
		"A\r\n0123456789\r\n1\r\na\r\n0\r\nX-Sum: 1\r\n\r\n": "0123456789a",

		"+2\r\nhi\r\n0\r\n\r\n":                     "",
		"-2\r\nhi\r\n0\r\n\r\n":                     "",
		"0x2\r\nhi\r\n0\r\n\r\n":                    "",
		" 2\r\nhi\r\n0\r\n\r\n":                     "",
		"2_0\r\nhi\r\n0\r\n\r\n":                    "",
		"\r\nhi\r\n0\r\n\r\n":                       "",
		"10000000000000002\r\nhi\r\n0\r\n\r\n":      "",
		"FFFFFFFFFFFFFFFFF\r\nhi\r\n0\r\n\r\n":      "",
		"2\nhi\r\n0\r\n\r\n":                        "",
		"2;\n\r\nhi\r\n0\r\n\r\n":                   "",
		"2;x=\rhi\r\n0\r\n\r\n":                     "",
		"2\r\nhi\n0\r\n\r\n":                        "",
		"2\r\nhiXX0\r\n\r\n":                        "",
		"2\r\nhi\r\n0\r\nX: a\n\r\n":                "",
		"2\r\nhi\r\n0\r\n X: folded\r\n\r\n":        "",
		"2\r\nhi\r\n0\r\nX : a\r\n\r\n":             "",
		"2;" + repeat(5000) + "\r\nhi\r\n0\r\n\r\n": "",
	} {
		r := &Router{}
		addr := start(t, r)
		app, seen := recorder(t)
		r.Set("blog", routeTo(app))
		nc, br := dial(t, addr)
		io.WriteString(nc, "POST / HTTP/1.1\r\nHost: blog.localhost\r\n"+
			"Transfer-Encoding: chunked\r\n\r\n"+body+hidden)
		if want != "" {
			for _, want := range []string{"POST / -1 [chunked] " + want, "GET /hidden 0 [] "} {
				if resp, err := http.ReadResponse(br, nil); err != nil || resp.StatusCode != 200 {
					t.Errorf("%.40q: %v %v", body, resp, err)
				} else if got := <-seen; got != want {
					t.Errorf("%.40q: the app saw %q, want %q", body, got, want)
				}
			}
			continue
		}
		resp, err := http.ReadResponse(br, nil)
		if err != nil || resp.StatusCode != 400 || !resp.Close {
			t.Errorf("%.40q: %v %v", body, resp, err)
			continue
		}
		io.Copy(io.Discard, resp.Body)
		if rest, _ := io.ReadAll(br); len(rest) > 0 {
			t.Errorf("%.40q: also answered %q", body, rest)
		}
		waitClosed(t, "drained", r.Set("blog", Route{}))
		for len(seen) > 0 {
			if got := <-seen; !strings.HasSuffix(got, " broken") {
				t.Errorf("%.40q: the app saw %q", body, got)
			}
		}
	}
}

// An app's trailer fields are not forwarded if only a header or the router may contain them.
func TestTrailersAreHarmless(t *testing.T) {
	r := &Router{}
	addr := start(t, r)
	bodies := make(chan string, 1)
	r.Set("blog", routeTo(startRawBackend(t, func(c net.Conn) {
		br := bufio.NewReader(c)
		readHead(br)
		var body strings.Builder
		for !strings.Contains(body.String(), "0\r\n") {
			line, err := br.ReadString('\n')
			if body.WriteString(line); err != nil {
				return
			}
		}
		end, _ := readHead(br)
		bodies <- body.String() + end
		io.WriteString(c, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Sum: 1\r\n"+
			"Content-Length: 9\r\nTransfer-Encoding: x\r\n\r\n")
	})))
	c, br := dial(t, addr)
	io.WriteString(c, "POST / HTTP/1.1\r\nHost: blog.localhost\r\nTransfer-Encoding: chunked\r\n"+
		"Trailer: X-Sum\r\n\r\n"+
		"0\r\nX-Sum: 1\r\nHost: evil\r\nContent-Length: 9\r\nX-Forwarded-For: 1.1.1.1\r\n"+
		"X_Real_IP: 1.1.1.1\r\nForwarded: for=1.1.1.1\r\n\r\n")
	if got := <-bodies; got != "0\r\nX-Sum: 1\r\n\r\n" {
		t.Errorf("to the app: %q", got)
	}
	resp, err := http.ReadResponse(br, nil)
	if err != nil {
		t.Fatal(err)
	}
	io.ReadAll(resp.Body)
	if len(resp.Trailer) != 1 || resp.Trailer.Get("X-Sum") != "1" {
		t.Errorf("to the client: %v", resp.Trailer)
	}
}
