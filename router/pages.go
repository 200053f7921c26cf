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

// page is an answer of our own. It says what a visitor may know: neither why an app is down, nor
// which apps there are.
type page struct {
	Status     int
	Title      string
	Text       string
	Hint       string // for the owner
	Host       string // the client's words: escape
	RetryAfter int    // seconds; 0: retrying is not suggested
	Refresh    bool   // a browser may load it again by itself
	ID         string // request id; only where an app was involved
}

func rootPage(host string) page {
	return page{Status: http.StatusOK, Title: "It works", Host: host,
		Text: "Apps answer at their name followed by this one.", Hint: "git push to deploy one."}
}

func noApp(host string) page {
	return page{Status: http.StatusNotFound, Title: "There is no app at " + host, Host: host,
		Text: "The address may be mistyped, or the app has moved."}
}

func badHost() page {
	return page{Status: http.StatusBadRequest, Title: "Bad request", Text: "The Host header is not a host name."}
}

func badMethod() page {
	return page{Status: http.StatusMethodNotAllowed, Title: "Method not allowed", Text: "This server does not do that."}
}

// pageFor is what the client is told about err.
func pageFor(host string, err error) page {
	switch {
	case errors.Is(err, errUnknown):
		return noApp(host)
	case errors.Is(err, errDown):
		return page{Status: http.StatusServiceUnavailable, Host: host, RetryAfter: 30, Title: "This app is down",
			Text: "It is stopped or scaled to 0, it crashed, its first version is still on its way, or it is not run from here.", Hint: "If it is yours: its log says why."}
	case errors.Is(err, errHoldOver), errors.Is(err, errStopping):
		return page{Status: http.StatusServiceUnavailable, Host: host, RetryAfter: 3, Refresh: true, Title: "This app is starting",
			Text: "It takes longer than usual. Try again in a moment."}
	case errors.Is(err, errHoldFull):
		return page{Status: http.StatusServiceUnavailable, Host: host, RetryAfter: 5, Refresh: true, Title: "This app is starting",
			Text: "Many are waiting for it. Try again in a moment."}
	case errors.Is(err, errCrowd):
		return page{Status: http.StatusServiceUnavailable, Host: host, RetryAfter: 5, Refresh: true, Title: "This app is busy",
			Text: "It serves as many as it can. Try again in a moment."}
	case errors.Is(err, errSlowApp):
		return page{Status: http.StatusGatewayTimeout, Host: host, Title: "This app did not answer",
			Text: "It took the request and said nothing for too long.", Hint: "If it is yours: its log may say why."}
	case errors.Is(err, errSlowClient):
		return page{Status: http.StatusRequestTimeout, Host: host, Title: "Request timeout", Text: "The rest of the request did not come."}
	case errors.Is(err, errBadBody):
		return page{Status: http.StatusBadRequest, Host: host, Title: "Bad request", Text: "The request's body is incomplete or malformed."}
	}
	return page{Status: http.StatusBadGateway, Host: host, Title: "This app did not answer",
		Text: "It closed the connection, or its answer made no sense.", Hint: "If it is yours: its log may say why."}
}

// refuse answers a request that no process answered, and logs what its owner should know.
func (x *exchange) refuse(host string, err error) {
	if errors.Is(err, context.Canceled) {
		x.reply.last = true // nobody is there to be answered
		return
	}
	p := pageFor(host, err)
	p.ID = x.id
	if p.Status >= 500 {
		x.app.mu.Lock()
		reason := x.app.route.Reason
		x.app.mu.Unlock()
		args := []any{"app", x.app.name, "status", p.Status, "id", x.id, "err", err}
		if reason != "" {
			args = append(args, "reason", reason)
		}
		x.router.quiet.warn("request refused", args...)
	}
	x.page(p)
}

// page answers with p. Where a body follows that nobody wants, the client may send it for a moment,
// and then the connection closes.
func (x *exchange) page(p page) {
	p.Refresh = p.Refresh && (x.in.method == http.MethodGet || x.in.method == http.MethodHead)
	kind, body := p.render(preferred(x.in.head.values("Accept")))
	h := head{
		{"Content-Type", kind},
		{"Cache-Control", "no-store"},
		{"Vary", "Accept"},
		{"X-Content-Type-Options", "nosniff"},
		{"Referrer-Policy", "no-referrer"},
		{"Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"},
		{"Content-Length", strconv.Itoa(len(body))},
	}
	if p.RetryAfter > 0 {
		h = append(h, field{"Retry-After", strconv.Itoa(p.RetryAfter)})
	}
	if p.Status == http.StatusMethodNotAllowed {
		h = append(h, field{"Allow", "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS"})
	}
	x.begin(&appResponse{status: p.Status, reason: http.StatusText(p.Status), head: h, length: int64(len(body))})
	if x.linger = x.unread(); x.in.method != http.MethodHead {
		x.write(body)
	}
}

// render writes p as html, json or text, and says what kind of content that is.
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

// preferred is html, json or text: what the Accept header ranks first, the earlier of equals (RFC
// 9110 section 12.5.1). A client that takes anything, such as curl, gets text.
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
