package remote

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"sync"
	"time"
)

// Client finds branches and fetches commits. The zero Client is ready to use. It is safe for
// concurrent use, except that only one fetch at a time may use a folder. It keeps connections open
// until [Client.Close].
//
// HTTP uses the proxy from the environment ([net/http.ProxyFromEnvironment]); ssh:// and git://
// connect directly.
type Client struct {
	HeadTimeout  time.Duration // limit for Head; default 15s
	FetchTimeout time.Duration // limit for Fetch; default 10m
	StallTimeout time.Duration // limit without data during a fetch; default 1m
	IdleTimeout  time.Duration // how long an idle connection is kept; default 5m

	MaxPack int64 // bytes transferred by a fetch; default 512 MiB
	MaxFile int64 // bytes of a file, which needs a few times as much memory; default 128 MiB
	MaxRefs int64 // bytes of a list of references; default 64 MiB, about a million references

	TLS *tls.Config // for https; default: the system's certificates (SSL_CERT_FILE)

	once    sync.Once
	http    *httpTransport
	sshPool *sshPool
}

const (
	headTimeout  = 15 * time.Second
	fetchTimeout = 10 * time.Minute
	stallTimeout = time.Minute
	idleTimeout  = 5 * time.Minute
	maxPack      = 512 << 20
	maxFile      = 128 << 20
	maxRefs      = 64 << 20
)

func (c *Client) init() {
	c.once.Do(func() {
		idle := cmp.Or(c.IdleTimeout, idleTimeout)
		c.http = newHTTPTransport(c.TLS, idle)
		c.sshPool = &sshPool{idleTimeout: idle}
	})
}

// Close closes the idle connections. Call it once Head and Fetch have returned. The error is nil.
func (c *Client) Close() error {
	c.init()
	c.http.close()
	c.sshPool.close()
	return nil
}

// withTimeout calls do with a deadline. Its error names the repository and says if time ran out.
func withTimeout(ctx context.Context, at address, limit time.Duration,
	do func(context.Context) error) error {
	inner, cancel := context.WithTimeoutCause(ctx, limit,
		errorf(ErrTimeout, "no answer within %s; try again", limit))
	defer cancel()
	err := do(inner)
	if err == nil {
		return nil
	}
	// When a connection was closed because ctx ended, report why ctx ended.
	if cause := context.Cause(inner); cause != nil {
		err = cause
	}
	return fmt.Errorf("%s: %w", at, at.translate(err))
}

// withSession opens a session and calls do with it. A kept connection may be dead, and what is
// known about a server may be outdated, so if do fails on a reused session before the server has
// answered, it is called once more with a new one.
func (c *Client) withSession(ctx context.Context, at address, r Remote, onData func(),
	do func(*session) error) error {
	for {
		s, err := c.openSession(ctx, at, r, onData)
		if err != nil {
			return err
		}
		err = do(s)
		s.close()
		if err == nil || !s.reused || s.answered || ctx.Err() != nil {
			return err
		}
		s.discard()
	}
}

// openSession opens a session. onData, unless nil, is called whenever data arrives.
func (c *Client) openSession(ctx context.Context, at address, r Remote,
	onData func()) (*session, error) {
	c.init()
	limit := cmp.Or(c.MaxRefs, maxRefs)
	switch at.scheme {
	case "ssh":
		return c.sshPool.newSession(ctx, at, r, limit, onData)
	case "git":
		return openGitDaemon(ctx, at, limit, onData)
	}
	return c.http.open(ctx, at, r, limit, onData)
}
