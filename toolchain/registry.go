package toolchain

import (
	"context"
	"crypto/sha512"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/Masterminds/semver/v3"
)

// DefaultRegistry is npm's own registry.
const DefaultRegistry = "https://registry.npmjs.org"

// client asks an npm registry
// (https://github.com/npm/registry/blob/main/docs/responses/package-metadata.md).
type client struct {
	url      string // may contain a user's name and password
	http     *http.Client
	patience time.Duration // how long it may send less than minSpeed
}

const (
	maxList    = 64 << 20 // bytes of a list of releases
	maxPackage = 512 << 20
	minSpeed   = 2 << 10 // bytes per second
)

// release is a version of a package.
type release struct {
	source
	Version
	tarball   string // URL
	integrity string // "sha512-...", and perhaps other hashes
}

// transport ends requests to registries that do not answer within patience.
func transport(patience time.Duration) *http.Transport {
	return &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: 10 * time.Second}).DialContext,
		ForceAttemptHTTP2:     true,
		TLSHandshakeTimeout:   10 * time.Second,
		ResponseHeaderTimeout: patience,
		IdleConnTimeout:       30 * time.Second,
	}
}

// releases lists the versions of a package that its source is for.
func (c client) releases(ctx context.Context, s source) (list []release, err error) {
	var about struct {
		Versions map[string]struct {
			Engines json.RawMessage
			Dist    struct{ Tarball, Integrity string }
		}
	}
	name := strings.ReplaceAll(s.pkg, "/", "%2f")
	err = c.get(ctx, strings.TrimSuffix(c.url, "/")+"/"+name, nil, func(body io.Reader) error {
		content, err := io.ReadAll(io.LimitReader(body, maxList))
		if err == nil && json.Unmarshal(content, &about) != nil {
			err = errors.New("what it sends is not a list of versions")
		}
		return err
	})
	if errors.Is(err, errNone) { // a registry of one's own may not have every package
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for text, v := range about.Versions {
		version, err := semver.StrictNewVersion(text)
		if err != nil || !s.has(version.Major()) {
			continue
		}
		list = append(list, release{
			source: s, Version: Version{version, nodeRange(v.Engines)},
			tarball: v.Dist.Tarball, integrity: v.Dist.Integrity,
		})
	}
	return list, nil
}

var errNone = errors.New("the registry does not have it")

// nodeRange returns the range of Node versions in the field engines of a package; nil: all.
func nodeRange(engines json.RawMessage) *semver.Constraints {
	var about struct{ Node string }
	if json.Unmarshal(engines, &about) != nil { // some old ones are lists
		return nil
	}
	limits, err := semver.NewConstraint(about.Node)
	if err != nil {
		return nil
	}
	return limits
}

// download writes a release to the file. It returns an error if that is not what the registry
// lists.
func (c client) download(ctx context.Context, to *os.File, from release, p progress) error {
	want, err := checksum(from.integrity)
	if err != nil {
		return err
	}
	sum := sha512.New()
	err = c.get(ctx, from.tarball, p, func(body io.Reader) error {
		n, err := io.Copy(io.MultiWriter(to, sum), io.LimitReader(body, maxPackage+1))
		if err == nil && n > maxPackage {
			err = errors.New("it sends too much")
		}
		return err
	})
	if err == nil && !slices.Equal(sum.Sum(nil), want) {
		err = errors.New("the registry sent something else than it lists (wrong sha512); kept nothing")
	}
	return err
}

// checksum returns the SHA-512 in a list of hashes (https://www.w3.org/TR/SRI).
func checksum(integrity string) ([]byte, error) {
	for _, hash := range strings.Fields(integrity) {
		text, ok := strings.CutPrefix(hash, "sha512-")
		text, _, _ = strings.Cut(text, "?")
		sum, err := base64.StdEncoding.DecodeString(text)
		if ok && err == nil && len(sum) == sha512.Size {
			return sum, nil
		}
	}
	return nil, errors.New("the registry lists no sha512 for it")
}

// progress is called when a body begins and every ten seconds while it comes, with its bytes so far
// and all of them; -1: unknown.
type progress func(got, all int64)

// get requests address and calls read with the body. It returns an error if the registry sends less
// than minSpeed for too long. An error that says nothing about the content is an [Unreachable].
func (c client) get(
	ctx context.Context, address string, p progress, read func(body io.Reader) error,
) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	request, err := c.request(ctx, address)
	if err != nil {
		return err
	}
	answer, err := c.http.Do(request)
	if err != nil {
		return Unreachable{c.name(), cause(ctx, err)}
	}
	defer answer.Body.Close()
	if answer.StatusCode == http.StatusNotFound {
		return errNone
	}
	if answer.StatusCode != http.StatusOK {
		return Unreachable{c.name(), fmt.Errorf("it answers %s to %s", answer.Status,
			request.URL.Path)}
	}
	body := &counted{Reader: answer.Body}
	defer c.watch(body, answer.ContentLength, p, cancel)()
	if err = read(body); body.err != nil {
		return Unreachable{c.name(), cause(ctx, body.err)}
	}
	return err
}

func (c client) request(ctx context.Context, address string) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, Unreachable{c.name(), errors.New("it lists an address that is none")}
	}
	base, err := url.Parse(c.url)
	if err == nil && base.Host == request.URL.Host && base.Scheme == request.URL.Scheme {
		request.URL.User = base.User
	}
	request.Header.Set("Accept", "application/vnd.npm.install-v1+json, application/octet-stream, */*")
	return request, nil
}

// watch watches the body until end is called.
func (c client) watch(
	body *counted, all int64, p progress, cancel context.CancelCauseFunc,
) (end func()) {
	if p != nil {
		p(0, all)
	}
	over := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		every := time.NewTicker(c.patience)
		defer every.Stop()
		shown := time.NewTicker(10 * time.Second)
		defer shown.Stop()
		for before := int64(0); ; {
			select {
			case <-over:
				return
			case <-shown.C:
				if p != nil {
					p(body.n.Load(), all)
				}
			case <-every.C:
				now := body.n.Load()
				if now-before < int64(minSpeed*c.patience.Seconds()) {
					cancel(fmt.Errorf("it sends nothing, or less than %d kB/s", minSpeed>>10))
				}
				before = now
			}
		}
	}()
	return func() {
		close(over)
		<-done
	}
}

// counted counts what is read, and remembers why reading failed.
type counted struct {
	io.Reader
	n   atomic.Int64
	err error
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.n.Add(int64(n))
	if err != nil && err != io.EOF {
		c.err = err
	}
	return n, err
}

// name is the registry's address without a password.
func (c client) name() string {
	u, err := url.Parse(c.url)
	if err != nil {
		return "the registry"
	}
	return u.Scheme + "://" + u.Host
}

// cause returns why the request failed, without its address.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var inner *url.Error
	if errors.As(err, &inner) {
		err = inner.Err
	}
	return err
}

// Unreachable means that the registry could not be asked, or broke off.
type Unreachable struct {
	Registry string // without a password
	Err      error
}

func (e Unreachable) Error() string { return fmt.Sprintf("cannot reach %s: %v", e.Registry, e.Err) }
func (e Unreachable) Unwrap() error { return e.Err }
