package router

import (
	"context"
	"net/http"
)

// Probe reports whether a router answers at addr, host:port. It blocks until ctx ends.
func Probe(ctx context.Context, addr string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/", nil)
	if err != nil {
		return err
	}
	req.Host = "health.invalid" // no app's: whether an app is well does not matter here
	// Not the default transport, which may go through a proxy that the environment names.
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return err
	}
	return resp.Body.Close()
}
