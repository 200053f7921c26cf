package web

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"time"

	"paas/say"
)

// plainText is the only type of an error that git shows.
const plainText = "text/plain; charset=utf-8"

// The services of git.
const (
	receivePack = "git-receive-pack"
	uploadPack  = "git-upload-pack"
)

var gitPath = regexp.MustCompile(
	`^/([^/]+?)(?:\.git)?/(info/refs|git-receive-pack|git-upload-pack)$`)

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Cache-Control", "no-store")
	if strings.Contains(r.URL.Path, "/info/lfs/") { // it asks before a push where to send the files
		w.Header().Set("Content-Type", "application/vnd.git-lfs+json")
		w.WriteHeader(http.StatusNotImplemented)
		json.NewEncoder(w).Encode(map[string]string{"message": say.NoLFS})
		return
	}
	q, f := s.parse(r)
	var who Identity
	if f == nil {
		who, f = s.authenticate(r)
	}
	if f == nil {
		f = s.admit(who, q)
	}
	release := func() {}
	if f == nil {
		release, f = s.acquire(r.Context(), who)
	}
	if f != nil {
		f.send(w)
		return
	}
	defer release()
	s.Log.Info("git", "service", q.Service, "app", q.App, "by", who.Name, "token", who.Token)
	control := http.NewResponseController(w)
	if err := control.EnableFullDuplex(); err != nil { // git may refuse what is still being sent
		s.Log.Error("git over HTTP", "err", err)
	}
	in := newInput(r, s.MaxInput)
	out := &answer{to: w, control: control, status: http.StatusOK,
		kind: "application/x-" + q.Service + "-result"}
	defer out.close()
	q.Stdin, q.Stdout = in, out
	switch {
	case q.Listing:
		s.list(r, who, q, out)
	case q.Service == uploadPack:
		s.fetch(r, who, q, out)
	default:
		s.push(r, who, q, in, out)
	}
	io.Copy(io.Discard, in) // else the connection ends before the client has read the reason
}

// fault is a request that is refused, with the reason for the person at the client.
type fault struct {
	status int
	text   string
	header map[string]string
}

func (f *fault) send(w http.ResponseWriter) {
	h := w.Header()
	for name, value := range f.header {
		h.Set(name, value)
	}
	h.Set("Content-Type", plainText)
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(f.status)
	say.Fault(w, "%s", f.text)
}

// parse returns what the request asks for. It reads no body.
func (s *Server) parse(r *http.Request) (q Request, f *fault) {
	m := gitPath.FindStringSubmatch(r.URL.EscapedPath())
	listing := m != nil && m[2] == "info/refs"
	service, _ := strings.CutPrefix(r.URL.RawQuery, "service=")
	known := service == receivePack || service == uploadPack
	switch {
	case r.URL.RawQuery != "" && !known:
		return q, &fault{status: http.StatusBadRequest, text: "this address takes no parameters. " +
			"If that was a token, revoke it, because proxies log addresses: " +
			"a token is the password, git asks for it"}
	case m == nil:
		scheme := r.Header.Get("X-Forwarded-Proto")
		return q, &fault{status: http.StatusNotFound,
			text: "nothing is here; git push " + scheme + "://" + r.Host + "/APP main deploys an app"}
	}
	if err := s.AppName(m[1]); err != nil {
		return q, &fault{status: http.StatusNotFound, text: err.Error()}
	}
	method := http.MethodPost
	if q = (Request{App: m[1], Protocol: r.Header.Get("Git-Protocol"), Listing: listing}); listing {
		method, q.Service = http.MethodGet, service
	} else {
		q.Service = m[2]
	}
	switch {
	case r.Method != method:
		return q, &fault{status: http.StatusMethodNotAllowed, text: "only git uses this address",
			header: map[string]string{"Allow": method}}
	case listing && !known:
		return q, &fault{status: http.StatusForbidden,
			text: "this git client is too old: git 1.6.6 and later can use this server"}
	// A form on another site can send a password that the browser knows, but not this type.
	case !listing && r.Header.Get("Content-Type") != "application/x-"+q.Service+"-request":
		return q, &fault{status: http.StatusUnsupportedMediaType, text: "only git uses this address"}
	}
	return q, nil
}

// authenticate returns the holder of the request's token.
func (s *Server) authenticate(r *http.Request) (Identity, *fault) {
	addr, encrypted := visitor(r)
	if !encrypted && !addr.IsLoopback() {
		return Identity{}, &fault{status: http.StatusForbidden, text: "a token is a password, and " +
			"this connection is not encrypted: use https:// or ssh://"}
	}
	_, secret, _ := r.BasicAuth()
	if secret == "" { // git sends the user name of its remote's address alone before it asks
		return Identity{}, unauthorized("git needs a token here: it is the password, and any " +
			"user name will do")
	}
	who, err := s.Tokens.Lookup(secret, addr)
	switch {
	case err == nil:
		return who, nil
	case s.failures.add(addr):
		seconds := fmt.Sprint(int(failureWindow / time.Second))
		return Identity{}, &fault{status: http.StatusTooManyRequests,
			text:   "too many wrong tokens from your address; try again in a minute",
			header: map[string]string{"Retry-After": seconds}}
	}
	s.Log.Warn("token refused", "why", err, "addr", addr)
	return Identity{}, unauthorized(err.Error())
}

// admit returns a fault if who may not do what q asks for.
func (s *Server) admit(who Identity, q Request) *fault {
	err := s.Git.Admit(who, q.App)
	if err == nil {
		return nil
	}
	f := &fault{status: http.StatusForbidden, text: err.Error()}
	if errors.As(err, new(NoApp)) {
		f.status = http.StatusNotFound
	}
	return f
}

// acquire waits until who may have one more request.
func (s *Server) acquire(ctx context.Context, who Identity) (release func(), f *fault) {
	ctx, cancel := context.WithTimeout(ctx, s.QueueTimeout)
	defer cancel()
	release, err := s.slots.Acquire(ctx, who.Name)
	if err != nil {
		f = &fault{status: http.StatusServiceUnavailable, text: "your token has " + err.Error() +
			"; try again in a moment", header: map[string]string{"Retry-After": "30"}}
	}
	return release, f
}

func unauthorized(text string) *fault {
	return &fault{status: http.StatusUnauthorized, text: text,
		header: map[string]string{"WWW-Authenticate": `Basic realm="paas", charset="UTF-8"`}}
}

// list answers which references there are, or why the app cannot be pushed to or fetched.
func (s *Server) list(r *http.Request, who Identity, q Request, out *answer) {
	var why bytes.Buffer
	q.Stdin, q.Stderr = http.NoBody, &why
	out.kind = "application/x-" + q.Service + "-advertisement"
	if q.Service == receivePack || q.Protocol != "version=2" {
		out.start = packet("# service="+q.Service+"\n") + flushPacket
	}
	if s.Git.Serve(r.Context(), who, q) != 0 && !out.begun.Load() {
		out.status, out.kind, out.start = http.StatusForbidden, plainText, ""
		out.Write(why.Bytes())
	}
}

// fetch serves a fetch. What goes wrong becomes the error packet of git's protocol.
func (s *Server) fetch(r *http.Request, who Identity, q Request, out *answer) {
	var why bytes.Buffer
	q.Stderr = &why
	if s.Git.Serve(r.Context(), who, q) != 0 && !out.begun.Load() {
		text := strings.TrimSpace(why.String())
		io.WriteString(out, packet("ERR "+text[:min(len(text), maxOfOne)]))
	}
}

// push serves a push.
func (s *Server) push(r *http.Request, who Identity, q Request, in *input, out *answer) {
	command, err := firstCommand(in.body)
	switch {
	case err == nil && len(command) == 0: // git tests the connection before a large push
		out.Write(nil)
	case err == nil && !bytes.Contains(command, []byte("side-band")):
		q.Stderr = io.Discard // this client could not show it
		s.Git.Serve(r.Context(), who, q)
	default:
		bands := &sideband{to: out}
		q.Stdout, q.Stderr = bands, bands.messages()
		s.Git.Serve(r.Context(), who, q)
		bands.finish() // fails only if the client has left
	}
}
