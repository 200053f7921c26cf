package certs

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/mholt/acmez/v3"
	"github.com/mholt/acmez/v3/acme"

	"paas/certs/pair"
	"paas/durable"
)

// authority is a certificate authority, with our account there.
type authority struct {
	url    string // of its directory
	email  string
	bound  *acme.EAB // nil: the authority does not know us otherwise
	path   string    // of the file that has the account
	client *acmez.Client

	mu      sync.Mutex
	account acme.Account // its PrivateKey is nil before the first use
}

func (k *Keeper) newAuthority(directory string) *authority {
	transport := http.DefaultTransport.(*http.Transport).Clone()
	if k.Roots != nil {
		transport.TLSClientConfig = &tls.Config{RootCAs: k.Roots}
	}
	transport.ResponseHeaderTimeout = 30 * time.Second
	solvers := map[string]acmez.Solver{
		acme.ChallengeTypeHTTP01: &k.challenges, acme.ChallengeTypeTLSALPN01: &k.challenges,
	}
	if k.DNS != "" {
		solvers[acme.ChallengeTypeDNS01] = dns01{program: k.DNS, resolver: k.resolver()}
	}
	a := &authority{
		url: directory, email: k.Email,
		path: filepath.Join(k.Dir, "accounts", url.PathEscape(directory)+".json"),
		client: &acmez.Client{
			Client: &acme.Client{
				Directory: directory, UserAgent: "paas",
				HTTPClient: &http.Client{Transport: transport, Timeout: time.Minute},
			},
			ChallengeSolvers: solvers,
		},
	}
	if eab, ok := k.Bindings[directory]; ok {
		a.bound = &eab
	}
	return a
}

// name is how people know the authority.
func (a *authority) name() string { return hostOf(a.url) }

func hostOf(address string) string {
	if u, err := url.Parse(address); err == nil && u.Host != "" {
		return u.Host
	}
	return address
}

// obtain gets a certificate with a new key for e.
func (a *authority) obtain(
	ctx context.Context, e *entry,
) (cert *tls.Certificate, renewal acme.RenewalInfo, err error) {
	ctx, cancel := context.WithTimeoutCause(ctx, attemptTimeout,
		fmt.Errorf("no certificate within %s", attemptTimeout))
	defer cancel()
	cert, renewal, err = a.order(ctx, e)
	var problem acme.Problem
	if errors.As(err, &problem) && problem.Type == acme.ProblemTypeAccountDoesNotExist {
		if err = a.forget(); err == nil {
			cert, renewal, err = a.order(ctx, e)
		}
	}
	if err != nil && ctx.Err() != nil {
		err = fmt.Errorf("%w: %w", context.Cause(ctx), err)
	}
	return cert, renewal, err
}

func (a *authority) order(
	ctx context.Context, e *entry,
) (cert *tls.Certificate, renewal acme.RenewalInfo, err error) {
	account, err := a.open(ctx)
	if err != nil {
		return nil, renewal, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, renewal, err
	}
	csr, err := acmez.NewCSR(key, []string{e.name})
	if err != nil {
		return nil, renewal, err
	}
	order, err := acmez.OrderParametersFromCSR(account, csr)
	if err != nil {
		return nil, renewal, err
	}
	if e.cert != nil && e.issuer == a.url {
		order.Replaces = e.cert.Leaf // such orders do not count against limits
	}
	chains, err := a.client.ObtainCertificate(ctx, order)
	if err != nil {
		return nil, renewal, err
	}
	if len(chains) == 0 {
		return nil, renewal, errors.New("the authority gave no certificate")
	}
	text, err := pair.EncodeKey(key)
	if err != nil {
		return nil, renewal, err
	}
	if chains[0].RenewalInfo != nil {
		renewal = *chains[0].RenewalInfo
	}
	cert, err = pair.Parse(append(text, chains[0].ChainPEM...))
	return cert, renewal, err
}

// stored is an account on disk.
type stored struct {
	Account acme.Account `json:"account"`
	Key     string       `json:"key"`
}

// open returns the account: the one in memory, the one on disk, or a new one.
func (a *authority) open(ctx context.Context) (acme.Account, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.account.PrivateKey != nil {
		return a.account, nil
	}
	account, err := a.load()
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		a.account = account
		return account, err
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return account, err
	}
	account = acme.Account{TermsOfServiceAgreed: true, PrivateKey: key}
	if a.email != "" {
		account.Contact = []string{"mailto:" + a.email}
	}
	if a.bound != nil {
		if err := account.SetExternalAccountBinding(ctx, a.client.Client, *a.bound); err != nil {
			return account, fmt.Errorf("new account: %w", err)
		}
	}
	if account, err = a.client.NewAccount(ctx, account); err != nil {
		return account, fmt.Errorf("new account: %w", err)
	}
	text, err := pair.EncodeKey(key)
	if err != nil {
		return account, err
	}
	content, err := json.MarshalIndent(stored{account, string(text)}, "", "  ")
	if err == nil {
		err = durable.Replace(a.path, a.path+".new", content, 0o600)
	}
	if err == nil {
		a.account = account
	}
	return account, err
}

func (a *authority) load() (acme.Account, error) {
	content, err := os.ReadFile(a.path)
	if err != nil {
		return acme.Account{}, err
	}
	var s stored
	if err := json.Unmarshal(content, &s); err != nil {
		return acme.Account{}, fmt.Errorf("the account in %s is damaged; delete that file", a.path)
	}
	block, _ := pem.Decode([]byte(s.Key))
	if block == nil {
		return acme.Account{}, fmt.Errorf("the account in %s has no key; delete that file", a.path)
	}
	key, _ := x509.ParsePKCS8PrivateKey(block.Bytes)
	if signer, ok := key.(*ecdsa.PrivateKey); ok {
		s.Account.PrivateKey = signer
		return s.Account, nil
	}
	return acme.Account{}, fmt.Errorf("the account in %s has a damaged key; delete that file", a.path)
}

// forget drops an account that the authority does not know any more.
func (a *authority) forget() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.account = acme.Account{}
	return os.Remove(a.path)
}
