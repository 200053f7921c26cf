package certs

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/mholt/acmez/v3/acme"

	"paas/rig"
	"paas/rig/pebble"
	"paas/rig/visitor"
)

// world is a keeper with an authority, and with the doors that the authority looks at.
type world struct {
	*Keeper
	t     *testing.T
	ca    *pebble.CA
	log   *rig.Screen
	https string // host:port
	stop  func() // ends Run and waits for it

	mu       sync.Mutex
	owners   map[string]string
	statuses map[string]Status
}

// newWorld starts a keeper that owns names of the form owner:name. It runs once start is called.
func newWorld(t *testing.T, lifetime time.Duration, names ...string) *world {
	t.Helper()
	return newWorldFor(t, lifetime, nil, names...)
}

// newWorldFor is newWorld with an authority that gives only its customers accounts.
func newWorldFor(
	t *testing.T, lifetime time.Duration, customers map[string]string, names ...string,
) *world {
	t.Helper()
	if _, err := pebble.Installed(); err != nil {
		t.Skipf("SKIP: %v", err)
	}
	w := &world{t: t, log: &rig.Screen{}, owners: map[string]string{}, statuses: map[string]Status{}}
	w.own(names...)
	plain, secure := visitor.FreePort("127.0.0.1"), visitor.FreePort("127.0.0.1")
	var err error
	if w.ca, err = pebble.Start(t.TempDir(), plain, secure, lifetime, customers); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.ca.Stop)
	roots := x509.NewCertPool()
	text, err := os.ReadFile(w.ca.Roots)
	if err != nil {
		t.Fatal(err)
	}
	roots.AppendCertsFromPEM(text)
	w.Keeper = &Keeper{
		Dir: filepath.Join(t.TempDir(), "certs"), Authorities: []string{w.ca.URL}, Roots: roots,
		Email: "owner@example.com", Resolver: w.resolver(), Owner: w.owner, Report: w.note,
		Log: slog.New(slog.NewTextHandler(w.log, nil)),
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Log(w.log.String())
		}
	})
	w.serve(plain, secure)
	return w
}

// own makes names of the form owner:name ours.
func (w *world) own(names ...string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, pair := range names {
		owner, name, _ := strings.Cut(pair, ":")
		w.owners[name] = owner
	}
}

func (w *world) disown(name string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.owners, name)
}

func (w *world) owner(name string) (string, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	owner, ok := w.owners[name]
	return owner, ok
}

func (w *world) note(name string, s Status) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.statuses[name] = s
}

func (w *world) status(name string) Status {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.statuses[name]
}

func (w *world) resolver() *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, w.ca.DNS)
	}}
}

// serve opens the doors: one that answers challenges over HTTP, and one with HTTPS.
func (w *world) serve(plain, secure string) {
	w.t.Helper()
	listen := func(port string) net.Listener {
		l, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err != nil {
			w.t.Fatal(err)
		}
		w.t.Cleanup(func() { l.Close() })
		return l
	}
	go http.Serve(listen(plain), http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		host, _, _ := net.SplitHostPort(r.Host)
		if answer, ok := w.Challenge(host, r.URL.Path); ok {
			io.WriteString(rw, answer)
			return
		}
		http.NotFound(rw, r)
	}))
	l := listen(secure)
	w.https = l.Addr().String()
	server := &http.Server{
		Handler:  http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) { io.WriteString(rw, "hello") }),
		ErrorLog: slog.NewLogLogger(slog.DiscardHandler, slog.LevelInfo),
	}
	w.t.Cleanup(func() { server.Close() })
	config := w.TLSConfig()
	config.GetCertificate = func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		return w.certificate(hello) // of the keeper that runs now
	}
	go server.Serve(tls.NewListener(l, config))
}

// start opens the keeper and runs it.
func (w *world) start() {
	w.t.Helper()
	if err := w.Open(); err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- w.Run(ctx) }()
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			w.t.Error(err)
		}
	})
	w.t.Cleanup(w.stop)
}

// restart stops the keeper and starts another one on the same folder.
func (w *world) restart() {
	w.t.Helper()
	w.stop()
	w.Keeper = &Keeper{
		Dir: w.Dir, Authorities: w.Authorities, Roots: w.Roots, Resolver: w.Resolver, Owner: w.owner,
		Report: w.note, Log: w.Log, DNS: w.DNS, Wildcards: w.Wildcards, Bindings: w.Bindings,
	}
	w.start()
}

// visit makes a handshake for name and returns the certificate, which must be valid.
func (w *world) visit(name string) (*x509.Certificate, error) {
	roots := x509.NewCertPool()
	text, err := w.ca.Root()
	if err != nil {
		return nil, err
	}
	roots.AppendCertsFromPEM(text)
	return handshake(w.https, &tls.Config{ServerName: name, RootCAs: roots})
}

func handshake(addr string, config *tls.Config) (*x509.Certificate, error) {
	conn, err := tls.Dial("tcp", addr, config)
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	return conn.ConnectionState().PeerCertificates[0], nil
}

// must visits name.
func (w *world) must(name string) *x509.Certificate {
	w.t.Helper()
	cert, err := w.visit(name)
	if err != nil {
		w.t.Fatalf("%s: %v", name, err)
	}
	return cert
}

func (w *world) eventually(what string, is func() bool) {
	w.t.Helper()
	rig.Eventually(w.t, what, is)
}

const quarter = 90 * 24 * time.Hour

func TestObtain(t *testing.T) {
	w := newWorld(t, quarter, "blog:a.test", "blog:b.test")
	w.start()
	began := time.Now()
	w.Want("a.test")
	w.eventually("a certificate", func() bool { return w.Has("a.test") })
	t.Logf("after %s", time.Since(began))
	first := w.must("a.test")
	w.eventually("the status", func() bool { return !w.status("a.test").Trying })
	s := w.status("a.test")
	if s.Error != "" || !s.NotAfter.Equal(first.NotAfter) || s.Next.IsZero() {
		t.Errorf("%+v", s)
	}
	if s.Issuer != hostOf(w.ca.URL) {
		t.Errorf("from %q", s.Issuer)
	}
	filepath.Walk(w.Dir, func(path string, info os.FileInfo, err error) error {
		if err != nil || info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: %v %v", path, info.Mode(), err)
		}
		return nil
	})
	w.restart()
	if second := w.must("a.test"); !second.Equal(first) {
		t.Error("another certificate after a restart")
	}
	account := w.authorities[0].path
	before, err := os.ReadFile(account)
	if err != nil {
		t.Fatal(err)
	}
	w.Want("b.test")
	w.eventually("another name", func() bool { return w.Has("b.test") })
	if after, err := os.ReadFile(account); err != nil || string(after) != string(before) {
		t.Errorf("another account after a restart: %v", err)
	}
	if strings.Contains(w.log.String(), "PRIVATE KEY") {
		t.Error("a key is in the log")
	}
}

// Each kind of challenge works alone.
func TestChallenges(t *testing.T) {
	w := newWorld(t, quarter, "blog:a.test", "blog:b.test")
	w.start()
	solvers := w.authorities[0].client.ChallengeSolvers
	for name, other := range map[string]string{"a.test": "http-01", "b.test": "tls-alpn-01"} {
		left := solvers[other]
		delete(solvers, other)
		w.Want(name)
		w.eventually(name+" without "+other, func() bool { return w.Has(name) })
		w.must(name)
		solvers[other] = left
	}
	if _, ok := w.Challenge("a.test", ChallengePath+"x"); ok {
		t.Error("a token that nobody gave is answered")
	}
}

// A handshake for a name that is ours waits for its certificate; others are refused at once.
func TestOnDemand(t *testing.T) {
	w := newWorld(t, quarter, "blog:a.test")
	w.start()
	w.must("a.test")
	_, err := w.visit("other.test")
	if !strings.Contains(rig.Message(err), "unrecognized name") {
		t.Errorf("a name that is not ours: %v", err)
	}
	if w.status("other.test") != (Status{}) {
		t.Error("an authority was asked for a name that is not ours")
	}
}

// Ten thousand handshakes for names that are not ours cost the authority nothing, and the log no
// line.
func TestUnknownNames(t *testing.T) {
	w := newWorld(t, quarter, "blog:a.test")
	w.start()
	w.must("a.test")
	logged := len(w.log.String())
	var all sync.WaitGroup
	const clients = 50
	handshakes := 10_000
	if testing.Short() {
		handshakes = 1000
	}
	for client := range clients {
		all.Go(func() {
			for n := range handshakes / clients {
				name := fmt.Sprintf("n%d.c%d.test", n, client)
				if _, err := handshake(w.https, &tls.Config{ServerName: name}); err == nil {
					t.Errorf("%s has a certificate", name)
				}
			}
		})
	}
	all.Wait()
	if len(w.log.String()) != logged {
		t.Errorf("in the log: %s", w.log.String()[logged:])
	}
	if n := len(w.Names()); n != 1 {
		t.Errorf("%d names are kept", n)
	}
	w.must("a.test")
}

// While DNS has no address for a name, no authority is asked. Once it has one, the certificate comes.
func TestNoAddress(t *testing.T) {
	w := newWorld(t, quarter, "blog:a.test")
	w.Resolver = noNames(t)
	w.start()
	w.Want("a.test")
	w.eventually("the reason", func() bool { return w.status("a.test").Error != "" })
	s := w.status("a.test")
	if !strings.HasPrefix(s.Error, "DNS has no address for a.test") || time.Until(s.Next) > pauseDNS {
		t.Errorf("%+v", s)
	}
	if files, _ := os.ReadDir(filepath.Join(w.Dir, "accounts")); len(files) > 0 {
		t.Error("the authority was asked")
	}
	w.stop()
	w.Resolver = w.resolver()
	w.restart()
	w.must("a.test")
}

// noNames returns a resolver for which no name exists.
func noNames(t *testing.T) *net.Resolver {
	t.Helper()
	server, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	go func() {
		packet := make([]byte, 512)
		for {
			n, from, err := server.ReadFrom(packet)
			if err != nil {
				return
			}
			packet[2], packet[3] = 0x81, 0x83 // a response: NXDOMAIN (RFC 1035, section 4.1.1)
			server.WriteTo(packet[:n], from)
		}
	}()
	return &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", server.LocalAddr().String())
	}}
}

func (w *world) dns(do string, record map[string]any) {
	w.t.Helper()
	if err := w.ca.SetDNS(do, record); err != nil {
		w.t.Fatal(err)
	}
}

// A name that leads elsewhere: the report has the authority's own words.
func TestElsewhere(t *testing.T) {
	w := newWorld(t, quarter, "blog:a.test")
	w.dns("add-a", map[string]any{"host": "a.test", "addresses": []string{"127.0.0.2"}})
	w.start()
	w.Want("a.test")
	w.eventually("the reason", func() bool { return w.status("a.test").Error != "" })
	s := w.status("a.test")
	rig.WantIn(t, "the error", s.Error, "urn:ietf:params:acme:error:", "127.0.0.2", hostOf(w.ca.URL))
	if wait := time.Until(s.Next); wait < 50*time.Second || wait > time.Minute {
		t.Errorf("the next attempt is in %s", wait)
	}
	rig.WantIn(t, "log", w.log.String(), "host=a.test")
}

// While the authority is down or slow, or refuses, the next one is asked.
func TestNextAuthority(t *testing.T) {
	answers := map[string]http.HandlerFunc{
		"limit": func(rw http.ResponseWriter, _ *http.Request) {
			rw.Header().Set("Content-Type", "application/problem+json")
			rw.WriteHeader(429)
			io.WriteString(rw, `{"type":"urn:ietf:params:acme:error:rateLimited","status":429,"detail":"too many today"}`)
		},
		"broken": func(rw http.ResponseWriter, _ *http.Request) { rw.WriteHeader(500) },
	}
	for name, answer := range answers {
		t.Run(name, func(t *testing.T) {
			first := httptest.NewTLSServer(answer)
			defer first.Close()
			w := newWorld(t, quarter, "blog:a.test")
			w.Roots.AddCert(first.Certificate())
			w.Authorities = []string{first.URL + "/dir"}
			w.start()
			w.Want("a.test")
			w.eventually("the reason", func() bool { return w.status("a.test").Error != "" })
			if name == "limit" {
				rig.WantIn(t, "the error", w.status("a.test").Error, "too many today", "rateLimited")
			}
			w.Authorities = append(w.Authorities, w.ca.URL)
			w.restart()
			w.Want("a.test")
			w.eventually("a certificate", func() bool { return w.Has("a.test") })
		})
	}
}

// An authority that is down keeps nobody from using the certificates that there are. One that has
// forgotten our account gets another.
func TestAuthorityDown(t *testing.T) {
	w := newWorld(t, quarter, "blog:a.test", "blog:b.test")
	w.start()
	cert := w.must("a.test")
	w.ca.Down()
	w.Want("b.test")
	w.eventually("the reason", func() bool { return w.status("b.test").Error != "" })
	rig.WantIn(t, "the error", w.status("b.test").Error, "connection refused")
	got, err := handshake(w.https, &tls.Config{ServerName: "a.test", InsecureSkipVerify: true})
	if err != nil || !got.Equal(cert) {
		t.Errorf("the other name: %v", err)
	}
	if err := w.ca.Up(); err != nil {
		t.Fatal(err)
	}
	w.TryAgain("b.test")
	w.eventually("a certificate", func() bool { return w.Has("b.test") })
	w.must("b.test")
}

// The authority says when to renew, which is also how it tells of a revocation. No handshake fails
// meanwhile.
func TestRenewals(t *testing.T) {
	w := newWorld(t, quarter, "blog:a.test")
	w.start()
	cert := w.must("a.test")
	load := visitor.Start(time.Millisecond, func() (int, string, error) {
		_, err := w.visit("a.test")
		return 200, "", err
	})
	renewals := 200
	if testing.Short() {
		renewals = 10
	}
	for range renewals {
		now := time.Now()
		if err := w.ca.SetRenewal(cert.Raw, now.Add(-2*time.Hour), now.Add(-time.Hour)); err != nil {
			t.Fatal(err)
		}
		w.TryAgain("a.test")
		before := cert
		w.eventually("a renewal", func() bool {
			w.Keeper.mu.RLock()
			defer w.Keeper.mu.RUnlock()
			cert = w.names["a.test"].cert.Leaf
			return !cert.Equal(before)
		})
	}
	load.Stop()
	if len(load.Failures) > 0 || load.Requests < renewals {
		t.Errorf("%d of %d handshakes failed: %.300q", len(load.Failures), load.Requests, load.Failures)
	}
	t.Logf("%d handshakes during %d renewals", load.Requests, renewals)
}

// A certificate that is close to its end is renewed, although the authority cannot say when.
func TestCloseToExpiry(t *testing.T) {
	w := newWorld(t, 20*time.Second, "blog:a.test")
	w.start()
	first := w.must("a.test")
	w.eventually("a renewal", func() bool {
		cert, err := w.visit("a.test")
		return err == nil && !cert.Equal(first)
	})
	if time.Now().After(first.NotAfter) {
		t.Error("after its end")
	}
}

// A clock that is wrong is named, and no authority is asked again and again.
func TestWrongClock(t *testing.T) {
	w := newWorld(t, quarter, "blog:a.test")
	w.now = func() time.Time { return time.Now().Add(10 * 365 * 24 * time.Hour) }
	w.start()
	w.Want("a.test")
	w.eventually("the reason", func() bool { return w.status("a.test").Error != "" })
	s := w.status("a.test")
	rig.WantIn(t, "the error", s.Error, "this machine's clock says 203")
	if s.Next.Sub(w.clock()) < 50*time.Second {
		t.Errorf("the next attempt is at %s", s.Next)
	}
}

// While the disk is full, the certificate is served from memory, and stored later. The authority is
// not asked for another.
func TestFullDisk(t *testing.T) {
	disk := rig.SmallDisk(t)
	w := newWorld(t, quarter, "blog:a.test", "blog:b.test")
	w.Dir = filepath.Join(disk, "certs")
	w.start()
	w.must("a.test") // so that there is an account
	filler := filepath.Join(disk, "filler")
	f, err := os.Create(filler)
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := f.Write(make([]byte, 512)); err != nil {
			break
		}
	}
	f.Close()
	cert := w.must("b.test")
	w.eventually("the reason", func() bool { return w.status("b.test").Error != "" })
	rig.WantIn(t, "the error", w.status("b.test").Error, "cannot store the certificate", "no space left")
	os.Remove(filler)
	w.TryAgain("b.test")
	w.eventually("it is stored", func() bool { return w.status("b.test").Error == "" })
	w.restart()
	if again := w.must("b.test"); !again.Equal(cert) {
		t.Error("another certificate")
	}
}

// A wildcard certificate, by a program that sets DNS records, serves all names below a domain.
func TestWildcard(t *testing.T) {
	w := newWorld(t, quarter, "blog:a.apps.test", "shop:b.apps.test", "blog:*.more.test")
	w.start()
	w.Want("*.more.test")
	w.eventually("the reason", func() bool { return w.status("*.more.test").Error != "" })
	rig.WantIn(t, "the error", w.status("*.more.test").Error, "needs a program that sets DNS records")
	w.stop()

	program := filepath.Join(t.TempDir(), "dns")
	script := `#!/bin/sh
echo "$1 $2 $3" >> ` + program + `.log
case $1 in
present) exec curl -sf -d "{\"host\": \"$2\", \"value\": \"$3\"}" http://` + w.ca.Records + `/set-txt ;;
cleanup) exec curl -sf -d "{\"host\": \"$2\"}" http://` + w.ca.Records + `/clear-txt ;;
esac
`
	if err := os.WriteFile(program, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	rig.Need(t, "curl")
	w.DNS, w.Wildcards = program, []string{"apps.test"}
	w.restart()
	w.Want("a.apps.test", "b.apps.test", "*.more.test")
	w.eventually("a wildcard certificate", func() bool { return w.Has("b.apps.test") && w.Has("x.more.test") })
	if a, b := w.must("a.apps.test"), w.must("b.apps.test"); !a.Equal(b) {
		t.Error("each name has its own certificate")
	}
	if names := w.must("a.apps.test").DNSNames; fmt.Sprint(names) != "[*.apps.test]" {
		t.Error(names)
	}
	log, err := os.ReadFile(program + ".log")
	if err != nil {
		t.Fatal(err)
	}
	w.DNS = ""
	w.restart()
	if names := w.must("a.apps.test").DNSNames; fmt.Sprint(names) != "[a.apps.test]" {
		t.Errorf("without the program: %v", names)
	}
	rig.WantIn(t, "the program's log", string(log), "present _acme-challenge.apps.test. ", "cleanup _acme-challenge.apps.test. ")
}

// A program that fails is quoted.
func TestDNSProgramFails(t *testing.T) {
	w := newWorld(t, quarter)
	program := filepath.Join(t.TempDir(), "dns")
	if err := os.WriteFile(program, []byte("#!/bin/sh\necho not my zone\nexit 3\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	w.DNS, w.Wildcards = program, []string{"apps.test"}
	w.start()
	w.Want("a.apps.test")
	w.eventually("the reason", func() bool { return w.status("*.apps.test").Error != "" })
	rig.WantIn(t, "the error", w.status("*.apps.test").Error, "DNS program present: exit status 3: not my zone")
}

// A certificate that an owner has brought serves the owner's names, and nobody else's.
func TestOwn(t *testing.T) {
	w := newWorld(t, quarter, "blog:a.test", "shop:b.test")
	w.start()
	w.must("a.test")
	text := selfSigned(t, time.Now().Add(time.Hour), "a.test", "b.test")
	if err := w.SetOwn("blog", text); err != nil {
		t.Fatal(err)
	}
	ours := func(name string) bool {
		cert, err := handshake(w.https, &tls.Config{ServerName: name, InsecureSkipVerify: true})
		return err == nil && cert.Subject.CommonName == "own"
	}
	if !ours("a.test") {
		t.Error("it is not served")
	}
	if ours("b.test") {
		t.Error("it is served for another owner's name")
	}
	w.eventually("the status", func() bool { return w.status("a.test").Own })
	w.restart()
	if !ours("a.test") {
		t.Error("it is not served after a restart")
	}
	if err := w.SetOwn("blog", selfSigned(t, time.Now().Add(-time.Minute), "a.test")); !strings.Contains(rig.Message(err), "expired") {
		t.Errorf("expired: %v", err)
	}
	if ok, err := w.RemoveOwn("blog"); !ok || err != nil {
		t.Errorf("%v %v", ok, err)
	}
	if ok, err := w.RemoveOwn("blog"); ok || err != nil {
		t.Errorf("again: %v %v", ok, err)
	}
	w.eventually("an authority's certificate", func() bool { return !ours("a.test") && !w.status("a.test").Own })
	w.must("a.test")
	if err := w.SetOwn("gone", text); err != nil {
		t.Fatal(err)
	}
	w.KeepOwn(func(owner string) bool { return owner != "gone" })
	if files, _ := os.ReadDir(filepath.Join(w.Dir, "own")); len(files) > 0 {
		t.Error("the certificate of an owner who is gone stays")
	}
}

// selfSigned returns a key and a certificate for names as PEM.
func selfSigned(t *testing.T, until time.Time, names ...string) []byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "own"}, DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: until,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	text, err := encode(&tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key})
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// A name that is not ours any more gets no certificate. If it comes back, the stored one serves.
func TestDisowned(t *testing.T) {
	w := newWorld(t, quarter, "blog:a.test")
	w.start()
	first := w.must("a.test")
	w.disown("a.test")
	w.TryAgain("a.test")
	w.eventually("it is not kept", func() bool { return !w.Has("a.test") && w.status("a.test") == (Status{}) })
	if _, err := w.visit("a.test"); err == nil {
		t.Error("it is served")
	}
	w.own("blog:a.test")
	if second := w.must("a.test"); !second.Equal(first) {
		t.Error("another certificate")
	}
}

// What is damaged on disk stops nothing.
func TestDamage(t *testing.T) {
	w := newWorld(t, quarter, "blog:a.test")
	w.start()
	first := w.must("a.test")
	w.stop()
	if err := os.WriteFile(w.file("a.test"), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(w.ownFile("blog"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	w.restart()
	if second := w.must("a.test"); second.Equal(first) {
		t.Error("the damaged one is served")
	}
	rig.WantIn(t, "log", w.log.String(), "a stored certificate is damaged", "the certificate of an owner is damaged")
}

// A certificate that the authority has revoked is replaced.
func TestRevoked(t *testing.T) {
	w := newWorld(t, quarter, "blog:a.test")
	w.start()
	cert := w.must("a.test")
	a := w.authorities[0]
	account, err := a.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	err = a.client.RevokeCertificate(t.Context(), account, cert, account.PrivateKey, acme.ReasonKeyCompromise)
	if err != nil {
		t.Fatal(err)
	}
	// Let's Encrypt then answers with half an hour of the past. Pebble's own answer, one second of it, is
	// too short for acmez.
	past := time.Now().Add(-time.Hour)
	if err := w.ca.SetRenewal(cert.Raw, past, past.Add(30*time.Minute)); err != nil {
		t.Fatal(err)
	}
	w.TryAgain("a.test")
	w.eventually("another certificate", func() bool { return !w.must("a.test").Equal(cert) })
}

// TLS 1.1 is refused. A session can be resumed with a ticket for some days, and not for ever.
func TestVersionsAndTickets(t *testing.T) {
	w := newWorld(t, quarter, "blog:a.test")
	w.start()
	w.must("a.test")
	_, err := handshake(w.https, &tls.Config{
		ServerName: "a.test", InsecureSkipVerify: true, MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11,
	})
	if !strings.Contains(rig.Message(err), "protocol version not supported") {
		t.Errorf("TLS 1.1: %v", err)
	}
	var ahead atomic.Int64 // how far the server's clock is
	config := w.TLSConfig()
	config.Time = func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }
	l, err := tls.Listen("tcp", "127.0.0.1:0", config)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go http.Serve(l, http.NotFoundHandler())
	client := &tls.Config{
		ServerName: "a.test", InsecureSkipVerify: true, ClientSessionCache: tls.NewLRUClientSessionCache(1),
	}
	resumed := func() bool {
		conn, err := tls.Dial("tcp", l.Addr().String(), client)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		io.WriteString(conn, "GET / HTTP/1.0\r\n\r\n")
		io.ReadAll(conn) // the ticket comes with the response
		return conn.ConnectionState().DidResume
	}
	resumed()
	if !resumed() {
		t.Error("a session is not resumed")
	}
	ahead.Store(int64(8 * 24 * time.Hour))
	if resumed() {
		t.Error("a session is resumed after eight days")
	}
}

// An authority that knows its customers gives an account to those whose key we have.
func TestCustomers(t *testing.T) {
	const key = "zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W"
	w := newWorldFor(t, quarter, map[string]string{"us": key}, "blog:a.test")
	w.start()
	w.Want("a.test")
	w.eventually("the reason", func() bool { return w.status("a.test").Error != "" })
	rig.WantIn(t, "the error", w.status("a.test").Error, "externalAccountRequired")
	w.stop()
	bindings, err := ParseBindings("# ours\n\n" + w.ca.URL + " us " + key + "\n")
	if err != nil {
		t.Fatal(err)
	}
	w.Bindings = bindings
	w.restart()
	w.must("a.test")
	if _, err := ParseBindings("\nhttps://ca.test secret"); rig.Message(err) != "line 2: want a URL, the id of a key, and the key" {
		t.Error(err)
	}
}
