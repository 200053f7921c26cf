package certs

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/mholt/acmez/v3/acme"

	"paas/pause"
)

// entry is the certificate of a name. The goroutine that keeps it alone changes the fields below
// poked; those above are guarded by Keeper.mu.
type entry struct {
	name   string
	cert   *tls.Certificate // from an authority; nil: none yet
	wanted bool
	kept   bool // a goroutine keeps it

	poked     chan struct{} // holds one: the next attempt is due
	attempted chan struct{} // closed when the first attempt has ended
	once      sync.Once

	issuer   string // the URL of the authority that cert comes from
	unsaved  bool   // cert is not on disk
	renewal  acme.RenewalInfo
	failures int // of authorities, in a row
	unknown  int // how often in a row DNS had no address
	status   Status
	next     time.Time // when to look again
}

func newEntry(name string) *entry {
	return &entry{name: name, poked: make(chan struct{}, 1), attempted: make(chan struct{})}
}

// Pauses between attempts. Let's Encrypt allows five failures of a name in an hour.
var pauses = []time.Duration{
	time.Minute, 5 * time.Minute, 15 * time.Minute, 40 * time.Minute, 2 * time.Hour, 6 * time.Hour,
}

const (
	// While DNS has no address, no authority is asked. The pause doubles up to the longest one.
	pauseDNS  = 30 * time.Second
	pauseDisk = time.Minute // while a certificate cannot be stored
	// The clock may be set, and a machine may sleep, so the time is looked at now and then.
	longestPause = 15 * time.Minute
	// How often an authority is asked when to renew, if it does not say.
	askAgain = 6 * time.Hour
	// How long an authority may take for one certificate.
	attemptTimeout = 5 * time.Minute
)

// keep keeps the certificate of a name valid until ctx ends or the name is not ours any more.
func (k *Keeper) keep(ctx context.Context, e *entry) {
	for asked := false; k.isOurs(e.name); {
		k.attend(ctx, e, asked)
		for {
			wait := min(e.next.Sub(k.clock()), longestPause)
			err := pause.For(ctx, max(wait, 10*time.Millisecond), e.poked)
			if ctx.Err() != nil {
				return
			}
			if asked = errors.Is(err, pause.ErrDone); asked || !k.clock().Before(e.next) {
				break
			}
		}
	}
	k.drop(e)
}

// attend does what is due for the certificate of a name, and sets when to look again. asked is true
// if a person wants it now.
func (k *Keeper) attend(ctx context.Context, e *entry, asked bool) {
	defer e.once.Do(func() { close(e.attempted) })
	now := k.clock()
	k.mu.RLock()
	own := k.ownFor(e.name)
	k.mu.RUnlock()
	if isValid(own, now) {
		e.status = Status{
			Own: true, NotBefore: own.Leaf.NotBefore, NotAfter: own.Leaf.NotAfter,
			Next: own.Leaf.NotAfter,
		}
		e.next = e.status.Next
		k.report(e)
		return
	}
	e.status.Own = false
	if e.unsaved {
		k.save(e)
	}
	if e.cert != nil {
		k.askWhen(ctx, e, asked)
	}
	if due := k.renewAt(e); e.cert != nil && now.Before(due) {
		if !e.unsaved { // else the status has the reason
			e.status.Error = ""
		}
		k.rest(e)
		k.report(e)
		return
	}
	e.status.Trying = true
	k.report(e)
	err := k.obtain(ctx, e)
	if ctx.Err() != nil {
		return
	}
	e.status.Trying, e.status.Tried = false, k.clock().UTC()
	k.settle(e, err)
	k.report(e)
}

// clock is the wall clock.
func (k *Keeper) clock() time.Time {
	if k.now == nil {
		return time.Now()
	}
	return k.now()
}

// settle records how an attempt went, and when the next one is.
func (k *Keeper) settle(e *entry, err error) {
	var none *net.DNSError
	switch {
	case errors.As(err, &none) && none.IsNotFound:
		wait := min(pauseDNS<<min(e.unknown, 8), longestPause)
		e.unknown++
		e.status.Error, e.next = err.Error(), k.clock().Add(wait)
		e.status.Next = e.next
	case err != nil:
		wait := pauses[min(e.failures, len(pauses)-1)]
		e.failures, e.unknown = e.failures+1, 0
		e.status.Error, e.next = err.Error(), k.clock().Add(wait)
		e.status.Next = e.next
		k.Log.Warn("no certificate", "host", e.name, "err", err, "retry", wait)
	default:
		e.failures, e.unknown, e.status.Error = 0, 0, ""
		k.save(e)
		k.rest(e)
		k.Log.Info("certificate", "host", e.name, "until", e.cert.Leaf.NotAfter)
	}
}

// rest sets when to look again at a certificate that is valid: when it is to be renewed, when to ask
// the authority about that, or soon if it is not stored.
func (k *Keeper) rest(e *entry) {
	e.status.Next = k.renewAt(e)
	e.next = earlier(e.status.Next, e.renewal.RetryAfter)
	if e.unsaved {
		e.next = k.clock().Add(pauseDisk)
	}
}

// save stores the certificate. If it cannot, the status says why.
func (k *Keeper) save(e *entry) {
	if err := k.store(e); err != nil {
		e.unsaved, e.status.Error = true, "cannot store the certificate: "+err.Error()
		k.Log.Error("cannot store a certificate", "host", e.name, "err", err)
		return
	}
	e.unsaved, e.status.Error = false, ""
}

// renewAt is when to renew: as the authority says, or when a third of the lifetime is left. An
// authority may name a time that leaves no room for a failure; half of our own remainder is kept.
func (k *Keeper) renewAt(e *entry) time.Time {
	if e.cert == nil {
		return time.Time{}
	}
	leaf := e.cert.Leaf
	lifetime := leaf.NotAfter.Sub(leaf.NotBefore)
	left := lifetime / 3
	if lifetime < 10*24*time.Hour {
		left = lifetime / 2
	}
	if e.renewal.HasWindow() {
		return earlier(leaf.NotAfter.Add(-left/2), &e.renewal.SelectedTime)
	}
	return leaf.NotAfter.Add(-left)
}

// askWhen asks the authority when to renew, if it is time to ask. If it cannot be reached, what it
// said last counts.
func (k *Keeper) askWhen(ctx context.Context, e *entry, asked bool) {
	if at := e.renewal.RetryAfter; at != nil && k.clock().Before(*at) && !asked {
		return
	}
	again := k.clock().Add(askAgain)
	for _, a := range k.authorities {
		if a.url != e.issuer {
			continue
		}
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		info, err := a.client.GetRenewalInfo(ctx, e.cert.Leaf)
		if err != nil {
			k.Log.Debug("the authority does not say when to renew", "host", e.name, "err", err)
			continue
		}
		if info.RetryAfter != nil {
			again = *info.RetryAfter
		}
		if !e.renewal.SameWindow(info) { // else the time that was chosen stays
			e.renewal = info
		}
	}
	e.renewal.RetryAfter = &again
}

func earlier(a time.Time, b *time.Time) time.Time {
	if b != nil && b.Before(a) {
		return *b
	}
	return a
}

// obtain gets a certificate from the first authority that gives one.
func (k *Keeper) obtain(ctx context.Context, e *entry) error {
	select {
	case k.slots <- struct{}{}:
		defer func() { <-k.slots }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if strings.HasSuffix(e.name, ".localhost") { // RFC 6761, section 6.3
		return errors.New("no authority gives certificates for names of localhost")
	}
	domain, wildcard := strings.CutPrefix(e.name, "*.")
	if wildcard && k.DNS == "" {
		return errors.New("a certificate for *." + domain + " needs a program that sets DNS records")
	}
	if !wildcard {
		if err := k.resolves(ctx, e.name); err != nil {
			return err
		}
	}
	if len(k.authorities) == 0 {
		return errors.New("the settings name no certificate authority")
	}
	var failed []string
	for _, a := range k.authorities {
		cert, renewal, err := a.obtain(ctx, e)
		if err == nil && !isValid(cert, k.clock()) {
			leaf := cert.Leaf
			err = fmt.Errorf(
				"the certificate is valid from %s to %s, and this machine's clock says %s",
				when(leaf.NotBefore), when(leaf.NotAfter), when(k.clock()),
			)
		}
		if err == nil {
			k.mu.Lock()
			e.cert = cert
			k.mu.Unlock()
			e.issuer, e.renewal = a.url, renewal
			return nil
		}
		failed = append(failed, a.name()+": "+why(err))
	}
	return errors.New(strings.Join(failed, "; "))
}

func when(t time.Time) string { return t.UTC().Format(time.RFC3339) }

// why is an authority's own words, if there are any.
func why(err error) string {
	var problem acme.Problem
	if errors.As(err, &problem) {
		return problem.Error()
	}
	return err.Error()
}

// resolves returns an error that IsNotFound if DNS has no address for name. Other failures are not
// known to concern the authority, which asks other servers.
func (k *Keeper) resolves(ctx context.Context, name string) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_, err := k.resolver().LookupNetIP(ctx, "ip", name)
	var none *net.DNSError
	if errors.As(err, &none) && none.IsNotFound {
		return fmt.Errorf("DNS has no address for %s: %w", name, err)
	}
	return nil
}

func (k *Keeper) resolver() *net.Resolver {
	if k.Resolver == nil {
		return net.DefaultResolver
	}
	return k.Resolver
}

// drop lets go of a name that is not ours any more. Its certificate stays until it expires: the name
// may come back.
func (k *Keeper) drop(e *entry) {
	k.mu.Lock()
	e.wanted, e.kept = false, false
	if e.cert == nil {
		delete(k.names, e.name)
	}
	k.mu.Unlock()
	e.once.Do(func() { close(e.attempted) })
	k.Report(e.name, Status{})
	if k.isOurs(e.name) { // it has come back just now
		k.Want(e.name)
	}
}

func (k *Keeper) report(e *entry) {
	s := e.status
	if e.cert != nil && !s.Own {
		s.Issuer = hostOf(e.issuer)
		s.NotBefore, s.NotAfter = e.cert.Leaf.NotBefore, e.cert.Leaf.NotAfter
	}
	k.Report(e.name, s)
}
