package router

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"net/http"
	"strconv"
	"strings"
)

//go:embed page.html
var pageHTML string

var pageTemplate = template.Must(template.New("page").Parse(pageHTML))

// page is one of the router's own responses. It tells visitors neither why an app is down nor which
// apps exist.
type page struct {
	Status     int
	Title      string
	Text       string
	Hint       string // for the owner
	Host       string // from the client: must be escaped
	RetryAfter int    // seconds; 0 to suggest no retry
	Refresh    bool   // browsers reload the page by themselves
	ID         string // request ID, if an app was involved
}

func rootPage(host string) page {
	return page{Status: http.StatusOK, Title: "It works", Host: host,
		Text: "Apps answer at <app>." + host + ".", Hint: "Deploy one with git push."}
}

func noApp(host string) page {
	return page{Status: http.StatusNotFound, Title: "There is no app at " + host, Host: host,
		Text: "The address may be wrong, or the app may have moved."}
}

var (
	badHost = page{Status: http.StatusBadRequest, Title: "Bad request",
		Text: "The Host header is not a host name."}
	misdirected = page{Status: http.StatusMisdirectedRequest, Title: "Misdirected request",
		Text: "The TLS connection was made for another host. Use one for each host."}
	badMethod = page{Status: http.StatusMethodNotAllowed, Title: "Method not allowed",
		Text: "This server does not support that method."}
)

// pageFor returns the page for err.
func pageFor(host string, err error) page {
	if errors.Is(err, errUnknown) {
		return noApp(host)
	}
	for _, e := range errorPages {
		if errors.Is(err, e.err) {
			e.Host = host
			return e.page
		}
	}
	return page{Status: http.StatusBadGateway, Host: host, Title: "This app did not respond",
		Text: "It closed the connection or sent an invalid response.",
		Hint: "If this is your app, its log may say why."}
}

var errorPages = []struct {
	err error
	page
}{
	{errDown, page{Status: http.StatusServiceUnavailable, RetryAfter: 30,
		Title: "This app is down",
		Text: "It is stopped, scaled to 0 or has crashed, its first release is not live yet, " +
			"or it does not run on this server.",
		Hint: "If this is your app, its log says why."}},
	{errHoldTimeout, slowStart},
	{errStopping, slowStart},
	{errHoldFull, page{Status: http.StatusServiceUnavailable, RetryAfter: 5, Refresh: true,
		Title: "This app is starting",
		Text:  "Many requests are waiting for it. Try again in a moment."}},
	{errOverShare, page{Status: http.StatusServiceUnavailable, RetryAfter: 5, Refresh: true,
		Title: "This app is busy",
		Text:  "It is serving as many requests as it can. Try again in a moment."}},
	{errResponseTimeout, page{Status: http.StatusGatewayTimeout,
		Title: "This app did not respond",
		Text:  "It accepted the request but sent no response in time.",
		Hint:  "If this is your app, its log may say why."}},
	{errMaintenance, page{Status: http.StatusServiceUnavailable, RetryAfter: 60,
		Title: "Under maintenance", Text: "This app will be back soon."}},
	{errNotAllowed, page{Status: http.StatusForbidden,
		Title: "Forbidden", Text: "This app does not take requests from your address."}},
	{errUnauthorized, page{Status: http.StatusUnauthorized,
		Title: "Unauthorized", Text: "This app asks for a user name and a password."}},
	{errManyLogins, page{Status: http.StatusTooManyRequests, RetryAfter: 5,
		Title: "Too many requests", Text: "Too many passwords are being checked. Try again in a moment."}},
	{errTooLarge, page{Status: http.StatusRequestEntityTooLarge,
		Title: "Content too large", Text: "The request's body is larger than this app allows."}},
	{errBodyTimeout, page{Status: http.StatusRequestTimeout,
		Title: "Request timeout", Text: "The rest of the request did not arrive in time."}},
	{errBadBody, page{Status: http.StatusBadRequest,
		Title: "Bad request", Text: "The request's body is incomplete or malformed."}},
}

var slowStart = page{Status: http.StatusServiceUnavailable, RetryAfter: 3, Refresh: true,
	Title: "This app is starting",
	Text:  "It is taking longer than usual. Try again in a moment."}

// refuse responds to a request that no backend answered, and logs the reason.
func (x *exchange) refuse(host string, err error) {
	if errors.Is(err, context.Canceled) {
		x.resp.closeAfter = true // the client has left
		return
	}
	p := pageFor(host, err)
	p.ID = x.requestID
	if p.Status >= 500 && !errors.Is(err, errMaintenance) {
		x.router.throttled.warn("request refused", "app", x.app.name, "status", p.Status,
			"id", x.requestID, "err", err)
	}
	x.page(p)
}

// page sends p. If a body is still to come, the client may send it for a moment before the
// connection closes.
func (x *exchange) page(p page) {
	x.relayed = false
	p.Refresh = p.Refresh && (x.req.method == http.MethodGet || x.req.method == http.MethodHead)
	format := preferred(x.req.header.values("Accept"))
	kind, body := p.render(format)
	h := header{
		{"Cache-Control", "no-store"},
		{"Vary", "Accept"},
		{"X-Content-Type-Options", "nosniff"},
		{"Referrer-Policy", "no-referrer"},
	}
	own, ok := "", false
	if x.app != nil && format != "json" {
		own, ok = x.app.ownPage(p)
	}
	if ok {
		kind, body = "text/html; charset=utf-8", []byte(own)
	} else {
		h = append(h, field{"Content-Security-Policy",
			"default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"})
	}
	h = append(h, field{"Content-Type", kind}, field{"Content-Length", strconv.Itoa(len(body))})
	if p.Status == http.StatusUnauthorized {
		h = append(h, field{"WWW-Authenticate", `Basic realm="` + p.Host + `", charset="UTF-8"`})
	}
	if p.RetryAfter > 0 {
		h = append(h, field{"Retry-After", strconv.Itoa(p.RetryAfter)})
	}
	if p.Status == http.StatusMethodNotAllowed {
		h = append(h, field{"Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"})
	}
	x.startResponse(&responseHead{status: p.Status, reason: http.StatusText(p.Status), header: h,
		length: int64(len(body))})
	if x.linger = x.bodyPending(); x.req.method != http.MethodHead {
		x.writeBody(body)
	}
}

// render returns p as html, json or text, with its content type.
func (p page) render(format string) (kind string, _ []byte) {
	var body bytes.Buffer
	switch format {
	case "html":
		kind = "text/html; charset=utf-8"
		if err := pageTemplate.Execute(&body, p); err != nil {
			panic(err) // the template or page's fields are wrong
		}
	case "json":
		kind = "application/json"
		out := map[string]any{"status": p.Status, "error": p.Title, "detail": p.Text}
		if p.Status < 400 {
			out = map[string]any{"status": p.Status, "detail": p.Text}
		}
		if p.ID != "" {
			out["request_id"] = p.ID
		}
		json.NewEncoder(&body).Encode(out)
	default:
		kind = "text/plain; charset=utf-8"
		fmt.Fprintf(&body, "%s\n%s\n", p.Title, p.Text)
		if p.Hint != "" {
			fmt.Fprintln(&body, p.Hint)
		}
	}
	return kind, body.Bytes()
}

// preferred returns html, json or text, whichever the Accept header ranks first, or the earlier of
// equals (RFC 9110 section 12.5.1). Clients that accept anything, such as curl, get text.
func preferred(accept []string) string {
	best, bestQ := "text", 0.0
	for part := range strings.SplitSeq(strings.ToLower(strings.Join(accept, ",")), ",") {
		kind, params, _ := strings.Cut(part, ";")
		var format string
		switch kind = strings.TrimSpace(kind); {
		case kind == "text/html", kind == "application/xhtml+xml":
			format = "html"
		case kind == "application/json", strings.HasSuffix(kind, "+json"):
			format = "json"
		case kind == "text/plain", kind == "text/*", kind == "*/*":
			format = "text"
		default:
			continue
		}
		q := 1.0
		for param := range strings.SplitSeq(params, ";") {
			if v, ok := strings.CutPrefix(strings.TrimSpace(param), "q="); ok {
				var err error
				if q, err = strconv.ParseFloat(v, 64); err != nil {
					q = 0
				}
			}
		}
		if q > bestQ {
			best, bestQ = format, q
		}
	}
	return best
}
