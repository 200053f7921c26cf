package certs

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"

	"paas/pause"
	"paas/say"
	"paas/subprocess"
)

// ChallengePath is where an authority looks for the answer to an HTTP-01 challenge.
const ChallengePath = "/.well-known/acme-challenge/"

// challenges are those that are answered now, HTTP-01 and TLS-ALPN-01.
type challenges struct {
	mu    sync.Mutex
	http  map[string]string           // by host and token
	certs map[string]*tls.Certificate // by name
}

func (c *challenges) Present(_ context.Context, challenge acme.Challenge) error {
	name := challenge.Identifier.Value
	var cert *tls.Certificate
	if challenge.Type == acme.ChallengeTypeTLSALPN01 {
		var err error
		if cert, err = acmez.TLSALPN01ChallengeCert(challenge); err != nil {
			return err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.http == nil {
		c.http, c.certs = map[string]string{}, map[string]*tls.Certificate{}
	}
	if cert != nil {
		c.certs[name] = cert
	} else {
		c.http[name+"/"+challenge.Token] = challenge.KeyAuthorization
	}
	return nil
}

func (c *challenges) CleanUp(_ context.Context, challenge acme.Challenge) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	name := challenge.Identifier.Value
	if challenge.Type == acme.ChallengeTypeTLSALPN01 {
		delete(c.certs, name)
	} else {
		delete(c.http, name+"/"+challenge.Token)
	}
	return nil
}

func (c *challenges) certificate(name string) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.certs[name], nil
}

// Challenge returns the answer to an HTTP-01 challenge, a request of host for path. ok is false if
// it is none of ours.
func (k *Keeper) Challenge(host, path string) (answer string, ok bool) {
	token, ok := strings.CutPrefix(path, ChallengePath)
	if !ok {
		return "", false
	}
	k.challenges.mu.Lock()
	defer k.challenges.mu.Unlock()
	answer, ok = k.challenges.http[host+"/"+token]
	return answer, ok
}

// dns01 answers DNS-01 challenges by a program, called as lego's exec provider calls one:
//
//	PROGRAM present _acme-challenge.example.com. VALUE
//	PROGRAM cleanup _acme-challenge.example.com. VALUE
//
// The program sets or removes a TXT record. Exit status 0 means that it is done.
type dns01 struct {
	program  string
	resolver *net.Resolver
}

// How long the program may take, and how long a record may take to appear. The server waits for a
// cleanup when it stops.
const (
	presentTimeout = time.Minute
	cleanupTimeout = 10 * time.Second
	dnsAppears     = 2 * time.Minute
)

func (d dns01) Present(ctx context.Context, challenge acme.Challenge) error {
	return d.run(ctx, presentTimeout, "present", challenge)
}

func (d dns01) CleanUp(ctx context.Context, challenge acme.Challenge) error {
	return d.run(context.WithoutCancel(ctx), cleanupTimeout, "cleanup", challenge)
}

// Wait waits until the record can be seen, so that the authority does not look too early. After
// two minutes the authority may try all the same: it may see what we do not.
func (d dns01) Wait(ctx context.Context, challenge acme.Challenge) error {
	deadline := time.Now().Add(dnsAppears)
	wait := 100 * time.Millisecond
	for time.Now().Before(deadline) {
		values, _ := d.resolver.LookupTXT(ctx, challenge.DNS01TXTRecordName())
		if slices.Contains(values, challenge.DNS01KeyAuthorization()) {
			return nil
		}
		if err := pause.For(ctx, wait, nil); err != nil {
			return err
		}
		wait = min(2*wait, 5*time.Second)
	}
	return nil
}

func (d dns01) run(
	ctx context.Context, limit time.Duration, action string, challenge acme.Challenge,
) error {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, fmt.Errorf("still running after %s", limit))
	defer cancel()
	cmd := subprocess.Command(ctx, d.program, action, challenge.DNS01TXTRecordName()+".",
		challenge.DNS01KeyAuthorization())
	cmd.Env = []string{
		"PATH=" + cmp.Or(os.Getenv("PATH"), "/usr/local/bin:/usr/bin:/bin"),
		"HOME=" + os.Getenv("HOME"),
	}
	var said strings.Builder
	cmd.Stdout, cmd.Stderr = &said, &said
	err := subprocess.Run(cmd, nil)
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	lines := strings.Split(strings.TrimSpace(said.String()), "\n")
	return errors.New("DNS program " + action + ": " + err.Error() + ": " +
		say.Plain(lines[len(lines)-1], 300))
}
