package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"log/slog"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"
)

// Keeper gets, keeps and serves certificates. Fill in the fields, call Open, then Run. Its methods
// are safe for concurrent use.
type Keeper struct {
	Dir         string         // folder for keys and certificates; Open makes it, with mode 0700
	Authorities []string       // URLs of ACME directories; if one fails, the next is asked
	Roots       *x509.CertPool // of the authorities' own HTTPS; nil: the machine's
	Email       string         // for the authorities; may be empty
	// Bindings are what authorities demand that know their customers, by the URL of the directory
	// (RFC 8555, section 7.3.4).
	Bindings map[string]acme.EAB

	// Owner returns whose a name is; ok is false if this server does not answer at it. A handshake
	// calls it, so it must be fast.
	Owner func(name string) (owner string, ok bool)

	// DNS is a program that sets a DNS record: see the type dns01. Empty: there are no wildcard
	// certificates.
	DNS string
	// Wildcards are domains. If there is a DNS program, a wildcard certificate serves the names
	// directly below one of them.
	Wildcards []string
	Resolver  *net.Resolver // finds addresses of names; nil: the machine's

	// Report is told the state of a name's certificate after each change.
	Report func(name string, s Status)
	Log    *slog.Logger

	now         func() time.Time // the wall clock; nil: time.Now
	authorities []*authority
	challenges  challenges
	slots       chan struct{} // one value for each name that an authority works on
	poked       chan struct{}

	mu    sync.RWMutex
	names map[string]*entry // by the certificate's name, such as *.example.com
	own   map[string]*tls.Certificate
}

// Status is the state of a name's certificate.
type Status struct {
	// Issuer is the authority that it comes from; empty: there is none, or the owner brought it.
	Issuer    string    `json:"issuer,omitempty"`
	Own       bool      `json:"own,omitempty"` // the owner brought it
	NotBefore time.Time `json:"not_before,omitzero"`
	NotAfter  time.Time `json:"not_after,omitzero"`
	Trying    bool      `json:"trying,omitempty"` // an authority works on it
	Tried     time.Time `json:"tried,omitzero"`   // the last attempt
	Error     string    `json:"error,omitempty"`  // of that attempt, in the authority's words
	Next      time.Time `json:"next,omitzero"`    // the next attempt, or the renewal
}

// atOnce is how many names authorities work on at the same time.
const atOnce = 8

// Open reads what is stored.
func (k *Keeper) Open() error {
	k.names, k.own = map[string]*entry{}, map[string]*tls.Certificate{}
	k.slots, k.poked = make(chan struct{}, atOnce), make(chan struct{}, 1)
	for _, dir := range []string{"", "accounts", "acme", "own"} {
		dir = filepath.Join(k.Dir, dir)
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return err
		}
		if err := os.Chmod(dir, 0o700); err != nil {
			return err
		}
	}
	for _, url := range k.Authorities {
		k.authorities = append(k.authorities, k.newAuthority(url))
	}
	if err := k.loadNames(); err != nil {
		return err
	}
	return k.loadOwn()
}

// Run works on the certificates until ctx ends.
func (k *Keeper) Run(ctx context.Context) error {
	k.wantStored()
	var working sync.WaitGroup
	defer working.Wait()
	for {
		for _, e := range k.takeWaiting() {
			working.Go(func() { k.keep(ctx, e) })
		}
		select {
		case <-ctx.Done():
			return nil
		case <-k.poked:
		}
	}
}

// wantStored keeps the stored certificates whose names are ours.
func (k *Keeper) wantStored() {
	for _, name := range k.Names() {
		if k.isOurs(name) {
			k.Want(name)
		}
	}
}

// takeWaiting returns the names that are wanted and that nothing works on yet.
func (k *Keeper) takeWaiting() (waiting []*entry) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, e := range k.names {
		if e.wanted && !e.kept {
			e.kept = true
			waiting = append(waiting, e)
		}
	}
	return waiting
}

// Want asks for a certificate for each of names. It does not block.
func (k *Keeper) Want(names ...string) {
	k.mu.Lock()
	for _, name := range names {
		k.entry(k.subject(name)).wanted = true
	}
	k.mu.Unlock()
	poke(k.poked)
}

// TryAgain makes the next attempt for each of names at once. It does not block.
func (k *Keeper) TryAgain(names ...string) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	for _, name := range names {
		if e := k.names[k.subject(name)]; e != nil {
			poke(e.poked)
		}
	}
}

// entry returns the entry of a certificate's name. The caller holds mu.
func (k *Keeper) entry(subject string) *entry {
	e := k.names[subject]
	if e == nil {
		e = newEntry(subject)
		k.names[subject] = e
	}
	return e
}

// subject returns the name of the certificate that serves name: its own, or a wildcard.
func (k *Keeper) subject(name string) string {
	_, domain, _ := strings.Cut(name, ".")
	if k.DNS != "" && slices.Contains(k.Wildcards, domain) {
		return "*." + domain
	}
	return name
}

// Has reports whether visitors of name get a certificate that is valid now.
func (k *Keeper) Has(name string) bool {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return isValid(k.find(name), k.clock())
}

// find returns the best certificate for name; nil: there is none. The caller holds mu.
func (k *Keeper) find(name string) *tls.Certificate {
	now := k.clock()
	own := k.ownFor(name)
	if isValid(own, now) {
		return own
	}
	_, domain, _ := strings.Cut(name, ".")
	var best *tls.Certificate
	for _, subject := range []string{name, "*." + domain} {
		e := k.names[subject]
		if e == nil || e.cert == nil || !e.wanted {
			continue
		}
		if isValid(e.cert, now) {
			return e.cert
		}
		best = e.cert
	}
	if best == nil {
		best = own
	}
	return best
}

func isValid(cert *tls.Certificate, now time.Time) bool {
	return cert != nil && !now.Before(cert.Leaf.NotBefore) && now.Before(cert.Leaf.NotAfter)
}

// isOurs reports whether somebody here answers at the name of a certificate. A wildcard for names of
// a server's own domain always is.
func (k *Keeper) isOurs(subject string) bool {
	domain, wildcard := strings.CutPrefix(subject, "*.")
	if wildcard && slices.Contains(k.Wildcards, domain) {
		return k.DNS != "" // otherwise each name has a certificate of its own
	}
	_, ok := k.Owner(subject)
	return ok
}

// TLSConfig returns the configuration of the listener. Callers may add protocols in front of
// NextProtos. The session tickets' key changes daily: crypto/tls does that if it is set by nobody.
func (k *Keeper) TLSConfig() *tls.Config {
	return &tls.Config{
		MinVersion:     tls.VersionTLS12,
		GetCertificate: k.certificate,
		NextProtos:     []string{"http/1.1", acmez.ACMETLS1Protocol},
	}
}

// onDemand is how long a handshake waits for the certificate of a name that has none yet.
const onDemand = 8 * time.Second

// certificate returns the certificate for a handshake. With neither a certificate nor an error the
// client is told that its name is not recognized.
func (k *Keeper) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	name := strings.ToLower(strings.TrimSuffix(hello.ServerName, "."))
	if slices.Equal(hello.SupportedProtos, []string{acmez.ACMETLS1Protocol}) {
		return k.challenges.certificate(name)
	}
	k.mu.RLock()
	cert := k.find(name)
	k.mu.RUnlock()
	if cert != nil {
		return cert, nil
	}
	if _, ours := k.Owner(name); name == "" || !ours {
		return nil, nil
	}
	k.Want(name)
	k.mu.Lock()
	attempted := k.entry(k.subject(name)).attempted
	k.mu.Unlock()
	timeout := time.NewTimer(onDemand)
	defer timeout.Stop()
	select {
	case <-attempted:
	case <-timeout.C:
	case <-hello.Context().Done():
	}
	k.mu.RLock()
	defer k.mu.RUnlock()
	return k.find(name), nil
}

// Names returns the names of all certificates that are kept, sorted.
func (k *Keeper) Names() []string {
	k.mu.RLock()
	defer k.mu.RUnlock()
	return slices.Sorted(maps.Keys(k.names))
}

// poke fills a channel that holds one value, so that several pokes count as one.
func poke(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
