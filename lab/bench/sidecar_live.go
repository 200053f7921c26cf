//go:build linux

package main

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// liveResult is the time from the push of a change until the app answered with it: pushed to the
// server itself, to a repository that it polls each second, and to one with a webhook.
type liveResult struct {
	Pushed         []push
	Polled, Hooked []time.Duration
}

// measureLive makes the same changes to three apps of one server.
func measureLive(ctx context.Context, o options, c *client, h *host) (res liveResult, err error) {
	s, err := startServer(ctx, o.Paas, c, nil)
	if err != nil {
		return res, err
	}
	defer s.stop()
	first, err := c.change(ctx)
	if err != nil {
		return res, err
	}
	for name, every := range map[string]string{"polled": everySecond.String(), "hooked": "24h"} {
		if err := h.create(ctx, name); err != nil {
			return res, err
		}
		if _, err := c.publish(ctx, h.path(name), s.app(name), first, func() error {
			_, err := s.run(ctx, "source:set", name, h.url(name), "--every", every)
			return err
		}); err != nil {
			return res, err
		}
	}
	if _, err := c.pushUntil(ctx, s.app("pushed"), first); err != nil {
		return res, err
	}
	ring, err := s.webhook(ctx, "hooked")
	if err != nil {
		return res, err
	}
	silent := func() error { return nil }
	for round := range changes {
		progress("sidecar: change to live %d of %d", round+1, changes)
		mark, err := c.change(ctx)
		if err != nil {
			return res, err
		}
		steps := []func() error{
			func() error {
				p, err := c.pushUntil(ctx, s.app("pushed"), mark)
				res.Pushed = append(res.Pushed, p)
				return err
			},
			func() error {
				d, err := c.publish(ctx, h.path("polled"), s.app("polled"), mark, silent)
				res.Polled = append(res.Polled, d)
				return err
			},
			func() error {
				d, err := c.publish(ctx, h.path("hooked"), s.app("hooked"), mark, ring)
				res.Hooked = append(res.Hooked, d)
				return err
			},
		}
		for i := range steps {
			if err := passAnyTime(ctx); err != nil {
				return res, err
			}
			if err := steps[(i+round)%len(steps)](); err != nil {
				return res, err
			}
		}
	}
	return res, nil
}

// publish pushes the last commit to a remote repository, calls then, and waits until the app's
// front page contains mark. The time begins when git is started.
func (c *client) publish(
	ctx context.Context, remote string, app target, mark string, then func() error,
) (time.Duration, error) {
	web := app.client(true)
	defer web.CloseIdleConnections()
	start := time.Now()
	if err := c.git(ctx, c.clone, "push", "-q", remote, "main"); err != nil {
		return 0, err
	}
	if err := then(); err != nil {
		return 0, err
	}
	err := await(ctx, time.Millisecond, app.host+" does not answer with the change", func() bool {
		body, err := get(ctx, web, app, "/")
		return err == nil && bytes.Contains(body, []byte(mark))
	})
	return time.Since(start), err
}

// webhook returns a function that calls the app's webhook as GitHub does after a push.
func (r *server) webhook(ctx context.Context, app string) (ring func() error, err error) {
	out, err := r.run(ctx, "source:webhook", app)
	if err != nil {
		return nil, err
	}
	_, secret, ok := strings.Cut(string(out), "secret")
	if !ok {
		return nil, errors.New("source:webhook printed no secret")
	}
	const body = `{"ref":"refs/heads/main"}`
	mac := hmac.New(sha256.New, []byte(strings.TrimSpace(secret)))
	mac.Write([]byte(body))
	signature := "sha256=" + hex.EncodeToString(mac.Sum(nil))
	return func() error {
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+r.hooks.Host+"/hooks/"+app,
			strings.NewReader(body))
		if err != nil {
			return err
		}
		req.Header.Set("X-Hub-Signature-256", signature)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return err
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusAccepted {
			return fmt.Errorf("the webhook answered %s", resp.Status)
		}
		return nil
	}, nil
}
