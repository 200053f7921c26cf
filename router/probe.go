package router

import (
	"context"
	"io"
	"net"
	"net/http"
)

// Probe reports whether a router answers at addr, host:port. It begins with the PROXY protocol if
// the router may want that. It blocks until ctx ends.
func Probe(ctx context.Context, addr string, proxied bool) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/", nil)
	if err != nil {
		return err
	}
	req.Host = "health.invalid" // no app's: whether an app is well does not matter here
	// Not the default transport, which may go through a proxy that the environment names.
	transport := &http.Transport{DisableKeepAlives: true}
	if proxied {
		transport.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := new(net.Dialer).DialContext(ctx, network, addr)
			if err == nil {
				_, err = io.WriteString(c, "PROXY UNKNOWN\r\n")
			}
			return c, err
		}
	}
	client := http.Client{Transport: transport}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}
