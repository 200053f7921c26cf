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
	"time"
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
func (x *exchange) refuse(w http.ResponseWriter, req *http.Request, host string, err error) {
	if x.hijacked {
		return
	}
	if errors.Is(err, context.Canceled) {
		panic(http.ErrAbortHandler) // nobody is there to be answered
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
	x.router.page(w, req, p)
}

// page writes p as HTML, JSON or plain text, as the client prefers.
func (r *Router) page(w http.ResponseWriter, req *http.Request, p page) {
	p.Refresh = p.Refresh && (req.Method == http.MethodGet || req.Method == http.MethodHead)
	var body bytes.Buffer
	h := w.Header()
	switch preferred(req.Header.Values("Accept")) {
	case "html":
		h.Set("Content-Type", "text/html; charset=utf-8")
		if err := pageTemplate.Execute(&body, p); err != nil {
			r.quiet.warn("page", "err", err)
		}
	case "json":
		h.Set("Content-Type", "application/json")
		out := map[string]any{"status": p.Status, "error": p.Title, "detail": p.Text}
		if p.Status < 400 {
			out = map[string]any{"status": p.Status, "detail": p.Text}
		}
		if p.ID != "" {
			out["request_id"] = p.ID
		}
		json.NewEncoder(&body).Encode(out)
	default:
		h.Set("Content-Type", "text/plain; charset=utf-8")
		fmt.Fprintf(&body, "%s\n%s\n", p.Title, p.Text)
		if p.Hint != "" {
			fmt.Fprintln(&body, p.Hint)
		}
	}
	h.Set("Cache-Control", "no-store")
	h.Set("Vary", "Accept")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
	h.Set("Content-Length", strconv.Itoa(body.Len()))
	if p.RetryAfter > 0 {
		h.Set("Retry-After", strconv.Itoa(p.RetryAfter))
	}
	if req.ContentLength != 0 {
		// The rest of a body nobody wants is read for a moment, not for as long as it lasts.
		h.Set("Connection", "close")
		http.NewResponseController(w).SetReadDeadline(time.Now().Add(swallow))
	}
	w.WriteHeader(p.Status)
	if req.Method != http.MethodHead {
		w.Write(body.Bytes())
	}
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
