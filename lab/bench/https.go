//go:build linux

package main

import (
	"context"
	"encoding/pem"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// httpsResult has the times until git returns from pushes of the same commits over both ways, and
// what git's own HTTP library takes of them.
type httpsResult struct {
	SSH, HTTPS []time.Duration
	Refused    []time.Duration // a git that is sent away with a 404 after its TLS handshake
}

// measureHTTPS pushes over SSH and over HTTPS, in turns. A proxy in this process has the certificate,
// for a name that git finds.
func measureHTTPS(ctx context.Context, o options, c *client) (*httpsResult, error) {
	r, err := startServer(ctx, o.Paas, c, nil)
	if err != nil {
		return nil, err
	}
	defer r.stop()
	proxy := httptest.NewTLSServer(&httputil.ReverseProxy{
		FlushInterval: -1,
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(&url.URL{Scheme: "http", Host: "127.0.0.1:" + r.http.Port()})
			p.Out.Host = "paas." + r.http.Host
		},
	})
	defer proxy.Close()
	root := filepath.Join(c.dir, "proxy.pem")
	block := &pem.Block{Type: "CERTIFICATE", Bytes: proxy.Certificate().Raw}
	if err := os.WriteFile(root, pem.EncodeToMemory(block), 0o600); err != nil {
		return nil, err
	}
	c.Env = append(c.Env, "GIT_SSL_CAINFO="+root)
	if _, err := r.run(ctx, "apps:create", "https"); err != nil {
		return nil, err
	}
	token, err := r.run(ctx, "tokens:create", "bench")
	if err != nil {
		return nil, err
	}
	at := strings.Replace(proxy.URL, "//", "//bench:"+strings.TrimSpace(string(token))+"@", 1)
	res := &httpsResult{}
	ways := []struct {
		to   *[]time.Duration
		args []string
		fail bool
	}{
		{&res.SSH, []string{"push", r.app("ssh").remote, "main"}, false},
		{&res.HTTPS, []string{"push", at + "/https", "main"}, false},
		{&res.Refused, []string{"ls-remote", at + "/Nothing"}, true},
	}
	for round := range o.Pushes + 1 {
		progress("push over SSH and HTTPS, %d of %d", round, o.Pushes)
		if _, err := c.change(ctx); err != nil {
			return nil, err
		}
		for i := range ways {
			w := ways[(i+round)%len(ways)]
			start := time.Now()
			if err := c.git(ctx, c.clone, w.args...); err != nil && !w.fail {
				return nil, err
			}
			if round > 0 { // the first push installs the packages
				*w.to = append(*w.to, time.Since(start))
			}
			time.Sleep(settle)
		}
	}
	return res, nil
}

func (r *httpsResult) rows(print row) {
	ssh, https := median(r.SSH, itself), median(r.HTTPS, itself)
	print("`git push` over HTTPS / over SSH, median", ms(https), ms(ssh), ratio(https, ssh), "")
	print("what HTTPS adds / git with a TLS handshake alone", ms(https-ssh), ms(median(r.Refused, itself)), "",
		"at most 150 ms")
}
