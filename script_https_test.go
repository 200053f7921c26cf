package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"paas/rig/pebble"
)

// pebble starts a certificate authority that the servers of the script use from then on, for apps
// below apps.test; each name leads to this machine. pebble down stops it, pebble up starts it again
// without its memory. pebble hang lets it answer nothing until pebble resume.
func cmdPebble(ts *testscript.TestScript, neg bool, args []string) {
	s := stateOf(ts)
	switch strings.Join(args, " ") {
	case "down":
		s.ca.Down()
		return
	case "hang":
		ts.Check(s.ca.Hang())
		return
	case "resume":
		ts.Check(s.ca.Resume())
		return
	case "up":
		ts.Check(s.ca.Up())
		return
	}
	dir, err := os.MkdirTemp(ts.MkAbs("."), "pebble")
	ts.Check(err)
	s.ca, err = pebble.Start(dir, ts.Getenv("HTTPPORT"), ts.Getenv("HTTPSPORT"), 90*24*time.Hour, nil)
	ts.Check(err)
	ts.Defer(s.ca.Stop)
	root, err := s.ca.Root()
	ts.Check(err)
	file := filepath.Join(dir, "root.pem")
	ts.Check(os.WriteFile(file, root, 0o600))
	ts.Setenv("GIT_SSL_CAINFO", file)
	ts.Setenv("PAAS_DOMAIN", "apps.test")
	ts.Setenv("PAAS_HTTPS_ADDR", "127.0.0.1:"+ts.Getenv("HTTPSPORT"))
	ts.Setenv("PAAS_ACME_CA", s.ca.URL)
	ts.Setenv("PAAS_ACME_ROOTS", s.ca.Roots)
	ts.Setenv("PAAS_DNS_SERVER", s.ca.DNS)
	ts.Setenv("DNS_RECORDS", "http://"+s.ca.Records) // takes commands, such as set-default-ipv4
}

// visit URL STATUS [TEXT] asks this machine for a page by any name, with HTTP or HTTPS, until the
// answer has the status, and TEXT in its body or its Location, for at most rig.Patience. A certificate
// must be from pebble, or in the file own.pem. With ! no answer is right that does.
func cmdVisit(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) < 2 {
		ts.Fatalf("usage: visit URL STATUS [TEXT]")
	}
	target, err := url.Parse(args[0])
	ts.Check(err)
	var code int
	var body string
	for retry := retryFor(5 * time.Second); retry(); {
		code, body, err = visit(ts, target)
		if err == nil && answered(code, body, args[1:]) {
			if neg {
				ts.Fatalf("%s answers %d: %s", args[0], code, body)
			}
			return
		}
		if neg {
			return
		}
	}
	ts.Fatalf("%s still answers %d: %s %v", args[0], code, body, err)
}

func visit(ts *testscript.TestScript, target *url.URL) (code int, body string, err error) {
	port := ts.Getenv("HTTPPORT")
	transport := &http.Transport{DisableKeepAlives: true}
	if target.Scheme == "https" {
		port = ts.Getenv("HTTPSPORT")
		roots := x509.NewCertPool()
		root, err := stateOf(ts).ca.Root()
		if err != nil {
			return 0, "", err
		}
		roots.AppendCertsFromPEM(root)
		own, _ := os.ReadFile(filepath.Join(ts.Getenv("WORK"), "own.pem"))
		roots.AppendCertsFromPEM(own)
		transport.TLSClientConfig = &tls.Config{RootCAs: roots}
	}
	transport.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, network, "127.0.0.1:"+port)
	}
	client := http.Client{
		Transport: transport, Timeout: 30 * time.Second,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	resp, err := client.Get(target.String())
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	content, err := io.ReadAll(resp.Body)
	return resp.StatusCode, fmt.Sprint(resp.Header.Get("Location"), "\n", string(content)), err
}
