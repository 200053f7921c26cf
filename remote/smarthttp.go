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

// httpTransport opens sessions over smart HTTP (gitprotocol-http(5)).
type httpTransport struct {
	client *http.Client
	mu     sync.Mutex
	known  map[string]siteInfo // by URL
}

// siteInfo is what was learned about a repository. With it, Head needs only one request.
type siteInfo struct {
	capabilities
	base      string // URL after redirects
	crossHost bool   // redirected to another host, which must not get the token
	expires   time.Time
}

const (
	maxSites = 4096 // if there are more, all are forgotten
	// limited, because the old name of a moved repository may get a new owner
	siteInfoTTL  = 5 * time.Minute
	maxRedirects = 5
	dialTimeout  = 10 * time.Second
)

func newHTTPTransport(config *tls.Config, idle time.Duration) *httpTransport {
	dialer := &net.Dialer{Timeout: dialTimeout}
	return &httpTransport{known: map[string]siteInfo{}, client: &http.Client{
		// discover follows redirects itself, to decide whether the token may go along.
		CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		},
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
			DisableCompression:     true, // packs are compressed, and other responses are small
		},
	}}
}

func (t *httpTransport) close() { t.client.CloseIdleConnections() }

// httpSession is a session over smart HTTP.
type httpSession struct {
	*httpTransport
	siteInfo
	session
	ctx    context.Context
	at     address
	remote Remote
	limit  int64
	onData func()
	body   io.ReadCloser // of the last response; may be nil
}

func (t *httpTransport) open(ctx context.Context, at address, r Remote, limit int64,
	onData func()) (*session, error) {
	h := &httpSession{httpTransport: t, ctx: ctx, at: at, remote: r, limit: limit, onData: onData}
	h.session = session{send: h.post, close: h.closeBody, discard: h.forget}
	t.mu.Lock()
	known, ok := t.known[at.String()]
	t.mu.Unlock()
	if h.reused = ok && time.Now().Before(known.expires); h.reused {
		h.siteInfo, h.session.capabilities = known, known.capabilities
		return &h.session, nil
	}
	if err := h.discover(); err != nil {
		h.closeBody()
		return nil, err
	}
	return &h.session, nil
}

func (h *httpSession) closeBody() {
	if h.body != nil {
		// The rest is at most a line. The connection is reused only if it has been read.
		io.CopyN(io.Discard, h.body, 4<<10)
		h.body.Close()
		h.body = nil
	}
}

func (h *httpSession) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.known, h.at.String())
}

const uploadPack = "git-upload-pack"

// discover sends the first request and follows redirects.
func (h *httpSession) discover() error {
	h.base = h.at.String()
	for range maxRedirects + 1 {
		req, err := http.NewRequestWithContext(h.ctx, http.MethodGet, h.base+"/info/refs?service="+
			uploadPack, nil)
		if err != nil {
			return err
		}
		res, err := h.do(req)
		if err != nil {
			return err
		}
		if to := res.Header.Get("Location"); res.StatusCode/100 == 3 && to != "" {
			h.closeBody()
			if err := h.followRedirect(req.URL, to); err != nil {
				return err
			}
			continue
		}
		if err := h.checkResponse(res, "advertisement"); err != nil {
			return err
		}
		if err := h.handshake(); err != nil {
			return err
		}
		if h.session.version == 2 {
			h.closeBody()
			h.siteInfo.capabilities = h.session.capabilities
			h.remember()
		}
		return nil
	}
	return fmt.Errorf("it redirects more than %d times; check the URL", maxRedirects)
}

func (h *httpSession) remember() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.known) >= maxSites {
		clear(h.known)
	}
	h.expires = time.Now().Add(siteInfoTTL)
	h.known[h.at.String()] = h.siteInfo
}

// followRedirect follows a redirect by git's default rules (http.followRedirects in git-config(1)):
// only for the first request, and only if the end of the URL stays the same.
func (h *httpSession) followRedirect(from *url.URL, location string) error {
	to, err := from.Parse(location)
	if err != nil {
		return fmt.Errorf("it redirects to an invalid URL; check the URL")
	}
	base, ok := strings.CutSuffix(to.Scheme+"://"+to.Host+to.EscapedPath(), "/info/refs")
	switch {
	case to.Scheme != "https" && to.Scheme != "http":
		return fmt.Errorf("it redirects to a URL that is not http or https; check the URL")
	case to.Scheme == "http" && from.Scheme == "https":
		return fmt.Errorf("it redirects from https to http, where anybody on the network could " +
			"change the data; ask its owner to serve https")
	case !ok:
		return errorf(ErrNotFound,
			"it redirects to a page that is not a repository (%s), perhaps a login page; check "+
				"the URL and the token", printable(to.Host+to.EscapedPath()))
	}
	h.crossHost = h.crossHost || to.Scheme != from.Scheme || to.Host != from.Host
	h.base = base
	return nil
}

// post sends a request and prepares h.in for the response.
func (h *httpSession) post(q request) error {
	h.closeBody()
	req, err := http.NewRequestWithContext(h.ctx, http.MethodPost, h.base+"/"+uploadPack,
		bytes.NewReader(q))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-"+uploadPack+"-request")
	req.Header.Set("Accept", "application/x-"+uploadPack+"-result")
	// Makes net/http retry if the server closes an idle connection at the same moment. The
	// empty value is not sent.
	req.Header["Idempotency-Key"] = []string{}
	res, err := h.do(req)
	if err != nil {
		return err
	}
	return h.checkResponse(res, "result")
}

func (h *httpSession) do(req *http.Request) (*http.Response, error) {
	req.Header.Set("User-Agent", agent)
	req.Header.Set("Git-Protocol", "version=2")
	if h.remote.Token != "" && !h.crossHost {
		req.SetBasicAuth(cmp.Or(h.at.user, "git"), h.remote.Token)
	}
	res, err := h.client.Do(req)
	if err != nil {
		var wrapped *url.Error // it would repeat the URL
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return nil, err
	}
	h.body = res.Body
	return res, nil
}

// checkResponse returns an error unless res is a response of a git server.
func (h *httpSession) checkResponse(res *http.Response, what string) error {
	switch code := res.StatusCode; {
	case code == http.StatusUnauthorized || code == http.StatusForbidden:
		return h.authError(res.Status)
	case code == http.StatusNotFound || code == http.StatusGone:
		return errorf(ErrNotFound,
			"no such repository, or no access to it (%s); check the URL, and that the token may "+
				"read it", printable(res.Status))
	case code != http.StatusOK:
		return fmt.Errorf("the server answered %s", printable(res.Status))
	}
	kind, _, _ := mime.ParseMediaType(res.Header.Get("Content-Type"))
	if kind != "application/x-"+uploadPack+"-"+what {
		return errorf(ErrNotFound,
			"not a git repository (the content type is %q); use the URL that git clone takes, of "+
				"a server with smart HTTP", printable(kind))
	}
	h.in = newPacketReader(res.Body, h.limit, h.onData)
	return nil
}

func (h *httpSession) authError(status string) error {
	switch {
	case h.crossHost:
		host, _ := url.Parse(h.base)
		return errorf(ErrAuth,
			"it has moved to %s, which is not sent the token (%s); change the URL to that host",
			printable(host.Host), printable(status))
	case h.remote.Token == "":
		return errorf(ErrAuth, "it requires a token (%s); set one that may read the repository",
			printable(status))
	}
	return errorf(ErrAuth, "it does not accept the token (%s); set one that may read the "+
		"repository and has not expired", printable(status))
}
