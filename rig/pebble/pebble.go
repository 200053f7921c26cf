// Package pebble runs Pebble, a small certificate authority for tests of ACME clients, and a DNS
// server that tests can change. Only tests import it.
package pebble

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"paas/rig/visitor"
	"paas/subprocess"
)

// Version is the one that scripts/tools installs.
const Version = "2.10.3"

// CA is a certificate authority that asks for challenges on this machine.
type CA struct {
	URL   string // of the ACME directory
	Roots string // a file with the certificate of the authority's own HTTPS
	DNS   string // host:port of the DNS server; each name has the address 127.0.0.1 at first
	// Records is the host:port where the DNS server takes its commands.
	Records string

	dir, admin  string
	dns, server *program
	client      *http.Client
}

// Installed returns the folder with the programs, or an error that says how to get them.
func Installed() (string, error) {
	caches, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(caches, "paas-test", "pebble-"+Version)
	if _, err := os.Stat(filepath.Join(dir, "pebble-challtestsrv")); err != nil {
		return "", fmt.Errorf("scripts/tools installs pebble: %w", err)
	}
	return dir, nil
}

// Start starts an authority that looks for HTTP-01 challenges at httpPort and for TLS-ALPN-01 ones
// at tlsPort, and whose certificates are valid for lifetime. dir is an empty folder for its files. If
// customers are given, only they get accounts: ids of keys and the keys.
func Start(
	dir, httpPort, tlsPort string, lifetime time.Duration, customers map[string]string,
) (*CA, error) {
	port := func() string { return net.JoinHostPort("127.0.0.1", visitor.FreePort("127.0.0.1")) }
	c := &CA{
		dir: dir, DNS: port(), Records: port(), admin: port(), Roots: filepath.Join(dir, "roots.pem"),
	}
	own := port()
	c.URL = "https://" + own + "/dir"
	if err := c.certify(); err != nil {
		return nil, err
	}
	config, err := json.Marshal(map[string]any{"pebble": map[string]any{
		"listenAddress": own, "managementListenAddress": c.admin,
		"certificate": c.Roots, "privateKey": filepath.Join(dir, "key.pem"),
		"httpPort": json.Number(httpPort), "tlsPort": json.Number(tlsPort), "keyAlgorithm": "ecdsa",
		"externalAccountBindingRequired": len(customers) > 0, "externalAccountMACKeys": customers,
		"retryAfter": map[string]int{"authz": 1, "order": 1},
		"profiles": map[string]any{
			"default": map[string]any{"description": "tests", "validityPeriod": int(lifetime.Seconds())},
		},
	}})
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "config.json"), config, 0o600)
	}
	if err != nil {
		return nil, err
	}
	c.dns, err = c.run("pebble-challtestsrv", "-dnsserver", c.DNS, "-management", c.Records,
		"-defaultIPv6", "", "-http01", "", "-https01", "", "-tlsalpn01", "", "-doh", "")
	for _, addr := range []string{c.DNS, c.Records} {
		if err == nil {
			err = await(func() error {
				conn, err := net.Dial("tcp", addr)
				if err == nil {
					err = conn.Close()
				}
				return err
			})
		}
	}
	if err == nil {
		err = c.Up()
	}
	if err != nil {
		c.Stop()
		return nil, err
	}
	return c, nil
}

// certify makes the certificate of the authority's own HTTPS.
func (c *CA) certify() error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "pebble"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return err
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return err
	}
	roots := x509.NewCertPool()
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	roots.AppendCertsFromPEM(text)
	c.client = &http.Client{Transport: &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true,
	}}
	keyText := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: keyDER})
	return errors.Join(os.WriteFile(c.Roots, text, 0o644),
		os.WriteFile(filepath.Join(c.dir, "key.pem"), keyText, 0o600))
}

// program is a program that runs.
type program struct {
	cmd  *exec.Cmd
	kill context.CancelFunc
	over chan struct{}
}

func (c *CA) run(name string, args ...string) (*program, error) {
	bin, err := Installed()
	if err != nil {
		return nil, err
	}
	log, err := os.OpenFile(filepath.Join(c.dir, name+".log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	ctx, kill := context.WithCancel(context.Background())
	cmd := subprocess.Command(ctx, filepath.Join(bin, name), args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Env = []string{"PEBBLE_VA_NOSLEEP=1", "PEBBLE_WFE_NONCEREJECT=0", "HOME=" + c.dir}
	p := &program{cmd, kill, make(chan struct{})}
	started := make(chan struct{})
	var runErr error
	go func() { // it keeps its thread, at whose end the program would be killed
		defer close(p.over)
		runErr = subprocess.Run(cmd, func() { close(started) })
	}()
	select {
	case <-started:
		return p, nil
	case <-p.over:
		return nil, runErr
	}
}

// Up starts the authority after [CA.Down]. It has forgotten all accounts and certificates, and has
// another root.
func (c *CA) Up() (err error) {
	c.server, err = c.run("pebble", "-config", filepath.Join(c.dir, "config.json"), "-dnsserver", c.DNS)
	if err != nil {
		return err
	}
	return await(func() error {
		response, err := c.client.Get(c.URL)
		if err == nil {
			err = response.Body.Close()
		}
		return err
	})
}

// await calls try until it succeeds, for at most 20 s.
func await(try func() error) (err error) {
	for range 1000 {
		if err = try(); err == nil {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return err
}

// Down stops the authority. The DNS server goes on.
func (c *CA) Down() { c.server.end() }

// Hang lets the authority answer nothing until [CA.Resume]: its connections stay open.
func (c *CA) Hang() error { return c.server.cmd.Process.Signal(syscall.SIGSTOP) }

// Resume ends what Hang began.
func (c *CA) Resume() error { return c.server.cmd.Process.Signal(syscall.SIGCONT) }

// Stop stops everything.
func (c *CA) Stop() {
	c.Down()
	c.dns.end()
}

func (p *program) end() {
	if p != nil { // it was started
		p.kill()
		<-p.over
	}
}

// Root returns the root of the certificates that the authority issues, as PEM.
func (c *CA) Root() ([]byte, error) {
	response, err := c.client.Get("https://" + c.admin + "/roots/0")
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	return io.ReadAll(response.Body)
}

// SetDNS changes the DNS server: do is one of its own commands, such as set-default-ipv4 or
// set-txt, and record the fields that it takes.
func (c *CA) SetDNS(do string, record map[string]any) error {
	return c.post(http.DefaultClient, "http://"+c.Records+"/"+do, record)
}

// SetRenewal makes the authority say that the certificate should be renewed in that time.
func (c *CA) SetRenewal(cert []byte, start, end time.Time) error {
	window := map[string]any{"suggestedWindow": map[string]any{"start": start, "end": end}}
	text, err := json.Marshal(window)
	if err != nil {
		return err
	}
	return c.post(c.client, "https://"+c.admin+"/set-renewal-info/", map[string]any{
		"certificate": string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert})),
		"ariResponse": string(text),
	})
}

func (c *CA) post(client *http.Client, url string, value any) error {
	body, err := json.Marshal(value)
	if err != nil {
		return err
	}
	response, err := client.Post(url, "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode >= 300 {
		said, _ := io.ReadAll(response.Body)
		return fmt.Errorf("%s: %s: %s", url, response.Status, said)
	}
	return nil
}
