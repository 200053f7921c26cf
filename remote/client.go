package remote

import (
	"cmp"
	"context"
	"crypto/tls"
	"fmt"
	"sync"
	"time"
)

// Client asks and fetches. The zero Client is ready; it is safe for concurrent use, but two
// fetches must not go into one folder at once. It keeps connections: [Client.Close] ends them.
//
// HTTP goes through the proxy that the environment names ([net/http.ProxyFromEnvironment]), ssh
// and git:// do not.
type Client struct {
	LookTimeout  time.Duration // all of a look; 0: 15 s
	FetchTimeout time.Duration // all of a fetch; 0: 10 minutes
	StallTimeout time.Duration // without a byte from the other end, while fetching; 0: 1 minute
	IdleTimeout  time.Duration // how long an unused connection is kept; 0: 5 minutes

	MaxPack int64 // bytes of one fetch, as they are sent; 0: 512 MiB
	MaxFile int64 // bytes of one file of a commit; it is held in memory a few times; 0: 128 MiB
	MaxRefs int64 // bytes of one list of references; 0: 64 MiB, about a million

	TLS *tls.Config // for https; nil: Go's defaults with the system's certificates (SSL_CERT_FILE)

	once    sync.Once
	web     *web
	tunnels *tunnels
}

const (
	lookTimeout  = 15 * time.Second
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
		c.web = newWeb(c.TLS, idle)
		c.tunnels = &tunnels{idle: idle}
	})
}

// Close ends the connections that are kept. Call it when no look and no fetch is under way.
func (c *Client) Close() error {
	c.init()
	c.web.close()
	c.tunnels.close()
	return nil
}

// within runs do with a deadline and says in its error whose repository it was and whether time
// was what ran out.
func within(ctx context.Context, at address, limit time.Duration, do func(context.Context) error) error {
	inner, cancel := context.WithTimeoutCause(ctx, limit,
		faultf(ErrTimeout, "no answer in %s; try again", limit))
	defer cancel()
	err := do(inner)
	if err == nil {
		return nil
	}
	// Whatever a connection says when it is cut, the reason is why it was cut.
	if cause := context.Cause(inner); cause != nil {
		err = cause
	}
	return fmt.Errorf("%s: %w", at, err)
}

// converse opens a session and does with it what do does. A connection that was kept may be dead,
// and what was known of a server may no longer be so: what fails on one before it has answered is
// done once more on a new one.
func (c *Client) converse(ctx context.Context, at address, r Remote, heard func(), do func(*session) error) error {
	for {
		s, err := c.open(ctx, at, r, heard)
		if err != nil {
			return err
		}
		err = do(s)
		s.end()
		if err == nil || !s.kept || s.answered || ctx.Err() != nil {
			return err
		}
		s.forget()
	}
}

// open begins a conversation; heard, unless nil, is called whenever something comes in.
func (c *Client) open(ctx context.Context, at address, r Remote, heard func()) (*session, error) {
	c.init()
	limit := cmp.Or(c.MaxRefs, maxRefs)
	switch at.scheme {
	case "ssh":
		return c.tunnels.session(ctx, at, r, limit, heard)
	case "git":
		return openDaemon(ctx, at, limit, heard)
	}
	return c.web.open(ctx, at, r, limit, heard)
}
