//go:build linux

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

const (
	visitEvery = 200 * time.Millisecond // for each app
	visitLimit = time.Minute            // requests wait while the server is suspended
)

// visitor sends requests to the apps as a browser would. It connects to addr for every host name.
type visitor struct {
	addr        string
	kept, fresh *http.Client
}

func newVisitor(addr string) *visitor {
	client := func(keep bool) *http.Client {
		return &http.Client{Timeout: visitLimit, Transport: &http.Transport{
			DisableKeepAlives: !keep, MaxIdleConnsPerHost: 16,
			DialContext: func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, addr)
			},
		}}
	}
	return &visitor{addr: addr, kept: client(true), fresh: client(false)}
}

// call sends one request to an app. Any status but 200 is an error.
func (v *visitor) call(
	ctx context.Context, keep bool, method, app, path, body string,
) (string, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+app+".localhost"+path,
		strings.NewReader(body))
	if err != nil {
		return "", err
	}
	web := v.fresh
	if keep {
		web = v.kept
	}
	resp, err := web.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = statusError{resp.StatusCode, resp.Header.Get("X-Request-Id"), string(text)}
	}
	return string(text), err
}

// statusError is an answer with another status than 200.
type statusError struct {
	status int
	id     string // the request's id in the server's log
	text   string
}

func (e statusError) Error() string {
	title := e.text
	if _, after, ok := strings.Cut(title, "<title>"); ok {
		title, _, _ = strings.Cut(after, "</title>")
	}
	return fmt.Sprintf("status %d %.80q %s", e.status, title, e.id)
}

// ask requests the app's front page, which reports its state.
func (v *visitor) ask(ctx context.Context, keep bool, a *app) answer {
	got := answer{Asked: time.Now(), Colorless: !a.node}
	text, err := v.call(ctx, keep, "GET", a.name, "/", "")
	got.Done = time.Now()
	if err != nil {
		got.Fault = err.Error()
		return got
	}
	got.Served = true
	if !a.node {
		_, got.Version, _ = strings.Cut(strings.TrimSpace(text), "</title>")
		return got
	}
	var reply struct {
		Version, Color, App string
		Torn                bool
	}
	if err := json.Unmarshal([]byte(text), &reply); err != nil || reply.App != a.name {
		reply.Version = fmt.Sprintf("not an answer of %s: %.200q", a.name, text)
	}
	got.Version, got.Color, got.Torn = reply.Version, reply.Color, reply.Torn
	return got
}

// write makes the app write a note into its DATA_DIR.
func (v *visitor) write(ctx context.Context, a *app, name, text string) error {
	_, err := v.call(ctx, false, "PUT", a.name, "/data?name="+url.QueryEscape(name), text)
	return err
}

// notes returns the app's notes.
func (v *visitor) notes(ctx context.Context, a *app) (notes map[string]string, err error) {
	text, err := v.call(ctx, false, "GET", a.name, "/data", "")
	if err == nil {
		err = json.Unmarshal([]byte(text), &notes)
	}
	return notes, err
}

// visits counts visits by result.
type visits struct {
	mu               sync.Mutex
	Served, Unserved int // Unserved: the app was stopped or did not exist
	Excused          map[string]int
	Slowest          time.Duration
}

// visit sends requests to the app until ctx ends, half of them over kept connections. The model
// must allow each answer, or it must be excused.
func (d *day) visit(ctx context.Context, a *app) {
	var wg sync.WaitGroup
	defer wg.Wait()
	tick := time.NewTicker(visitEvery)
	defer tick.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		wg.Go(func() {
			got := d.visitor.ask(ctx, n%2 == 0, a)
			if ctx.Err() == nil {
				d.judge(a, got)
			}
		})
	}
}

// judge compares an answer with the app's possible states.
func (d *day) judge(a *app, got answer) {
	err := a.model.allows(got)
	why := a.excused(got.Asked, got.Done)
	v := &d.visits
	v.mu.Lock()
	switch {
	case err == nil && got.Served:
		v.Served++
		v.Slowest = max(v.Slowest, got.Done.Sub(got.Asked))
		if why == "" {
			d.kept(unnoticed)
		}
	case err == nil:
		v.Unserved++
	case !got.Served && why != "":
		v.Excused[why]++
		err = nil
	}
	v.mu.Unlock()
	if err == nil {
		return
	}
	promise := unnoticed
	if got.Served { // by a version that should not be live
		promise = nothingLost
	}
	d.broken(promise, "%s: asked at %s, %v: %v", a.name, d.stamp(got.Asked),
		got.Done.Sub(got.Asked).Round(time.Millisecond), err)
}
