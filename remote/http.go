package remote

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// web speaks smart HTTP (gitprotocol-http(5)).
type web struct {
	client *http.Client
	mu     sync.Mutex
	sites  map[string]site // by URL
}

// site is what is known of a repository, so that a look is one request.
type site struct {
	capabilities
	base  string // its URL, after redirects
	away  bool   // a redirect led to another host, which gets no token
	until time.Time
}

const (
	maxSites     = 4096            // beyond, all are forgotten: it costs one request each
	knownFor     = 5 * time.Minute // else a redirect would be followed after its old name has a new owner
	maxRedirects = 5
	dialTimeout  = 10 * time.Second
)

func newWeb(config *tls.Config, idle time.Duration) *web {
	dialer := &net.Dialer{Timeout: dialTimeout}
	return &web{sites: map[string]site{}, client: &http.Client{
		// Redirects are followed in discover, where it can be seen who gets the token.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			Proxy:                  http.ProxyFromEnvironment,
			DialContext:            dialer.DialContext,
			TLSClientConfig:        config,
			TLSHandshakeTimeout:    dialTimeout,
			ForceAttemptHTTP2:      true,
			MaxIdleConns:           512,
			MaxIdleConnsPerHost:    8,
			IdleConnTimeout:        idle,
			MaxResponseHeaderBytes: 64 << 10,
			DisableCompression:     true, // packs are compressed, and answers small
		},
	}}
}

func (w *web) close() { w.client.CloseIdleConnections() }

// visit is one conversation with a site.
type visit struct {
	*web
	site
	session
	ctx   context.Context
	at    address
	r     Remote
	limit int64
	heard func()
	body  io.ReadCloser // of the last answer; nil: none
}

func (w *web) open(ctx context.Context, at address, r Remote, limit int64, heard func()) (*session, error) {
	v := &visit{web: w, ctx: ctx, at: at, r: r, limit: limit, heard: heard}
	v.session = session{send: v.ask, end: v.hangUp, forget: v.forget}
	w.mu.Lock()
	known, ok := w.sites[at.String()]
	w.mu.Unlock()
	if v.kept = ok && time.Now().Before(known.until); v.kept {
		v.site, v.session.capabilities = known, known.capabilities
		return &v.session, nil
	}
	if err := v.discover(); err != nil {
		v.hangUp()
		return nil, err
	}
	return &v.session, nil
}

func (v *visit) hangUp() {
	if v.body != nil {
		// What is left to read is a line or nothing; the connection is kept only if it is read.
		io.CopyN(io.Discard, v.body, 4<<10)
		v.body.Close()
		v.body = nil
	}
}

func (v *visit) forget() {
	v.mu.Lock()
	defer v.mu.Unlock()
	delete(v.sites, v.at.String())
}

const service = "git-upload-pack"

// discover asks the repository who it is, and follows where it has moved.
func (v *visit) discover() error {
	v.base = v.at.String()
	for range maxRedirects + 1 {
		req, err := http.NewRequestWithContext(v.ctx, http.MethodGet, v.base+"/info/refs?service="+service, nil)
		if err != nil {
			return err
		}
		res, err := v.do(req)
		if err != nil {
			return err
		}
		if to := res.Header.Get("Location"); res.StatusCode/100 == 3 && to != "" {
			v.hangUp()
			if err := v.follow(req.URL, to); err != nil {
				return err
			}
			continue
		}
		if err := v.accept(res, "advertisement"); err != nil {
			return err
		}
		if err := v.greet(); err != nil {
			return err
		}
		if v.session.version == 2 {
			v.hangUp()
			v.site.capabilities = v.session.capabilities
			v.remember()
		}
		return nil
	}
	return fmt.Errorf("it redirects more than %d times; check the URL", maxRedirects)
}

func (v *visit) remember() {
	v.mu.Lock()
	defer v.mu.Unlock()
	if len(v.sites) >= maxSites {
		clear(v.sites)
	}
	v.until = time.Now().Add(knownFor)
	v.sites[v.at.String()] = v.site
}

// follow takes a redirect, as git does by default (http.followRedirects in git-config(1)): only
// the first request's, and only one that keeps the end of the URL.
func (v *visit) follow(from *url.URL, location string) error {
	to, err := from.Parse(location)
	if err != nil {
		return fmt.Errorf("it redirects to what is not a URL; check the URL")
	}
	base, ok := strings.CutSuffix(to.Scheme+"://"+to.Host+to.EscapedPath(), "/info/refs")
	switch {
	case to.Scheme != "https" && to.Scheme != "http":
		return fmt.Errorf("it redirects to a URL that is not http or https; check the URL")
	case to.Scheme == "http" && from.Scheme == "https":
		return fmt.Errorf("it redirects from https to http, where everybody on the way can change what is sent; ask its owner to serve https")
	case !ok:
		return faultf(ErrNotFound, "it redirects to a page that is no repository (%s), maybe to log in; check the URL and the token", clean(to.Host+to.EscapedPath()))
	}
	v.away = v.away || to.Scheme != from.Scheme || to.Host != from.Host
	v.base = base
	return nil
}

// ask posts a request. Its answer begins anew, so s.in does too.
func (v *visit) ask(q request) error {
	v.hangUp()
	req, err := http.NewRequestWithContext(v.ctx, http.MethodPost, v.base+"/"+service, bytes.NewReader(q))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-"+service+"-request")
	req.Header.Set("Accept", "application/x-"+service+"-result")
	// Asking twice does no harm. Nothing is sent for this, but net/http then repeats the request
	// by itself where the server closed the kept connection in the same moment.
	req.Header["Idempotency-Key"] = []string{}
	res, err := v.do(req)
	if err != nil {
		return err
	}
	return v.accept(res, "result")
}

func (v *visit) do(req *http.Request) (*http.Response, error) {
	req.Header.Set("User-Agent", agent)
	req.Header.Set("Git-Protocol", "version=2")
	if v.r.Token != "" && !v.away {
		req.SetBasicAuth(cmp.Or(v.at.user, "git"), v.r.Token)
	}
	res, err := v.client.Do(req)
	if err != nil {
		var wrapped *url.Error // would say the URL a second time
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return nil, err
	}
	v.body = res.Body
	return res, nil
}

// accept says whether the answer is one of git's.
func (v *visit) accept(res *http.Response, what string) error {
	switch code := res.StatusCode; {
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return v.locked(res.Status)
	case code == http.StatusNotFound || code == http.StatusGone:
		return faultf(ErrNotFound, "there is no such repository, or it is hidden from us (%s); check the URL, and that the token may read it", clean(res.Status))
	case code != http.StatusOK:
		return fmt.Errorf("the server answers %s", clean(res.Status))
	}
	kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if kind != "application/x-"+service+"-"+what {
		return faultf(ErrNotFound, "what answers is not a git repository (it sends %q); check the URL: it is the one that git clone takes, of a server that speaks smart HTTP", clean(kind))
	}
	v.in = newPackets(res.Body, v.limit, v.heard)
	return nil
}

func (v *visit) locked(status string) error {
	switch {
	case v.away:
		host, _ := url.Parse(v.base)
		return faultf(ErrAuth, "it has moved to %s, which gets no token from us (%s); set the source's URL to that host", clean(host.Host), clean(status))
	case v.r.Token == "":
		return faultf(ErrAuth, "it asks for a token (%s); give one that may read the repository", clean(status))
	}
	return faultf(ErrAuth, "it does not accept the token (%s); give one that may read the repository, and has not expired", clean(status))
}
