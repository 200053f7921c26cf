package health

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"
)

// asker returns a function that attempts the check of s once. Its error completes the process's
// name: "GET /up answered 500".
func (c Check) asker(s Subject) func(context.Context) error {
	switch {
	case len(c.Command) > 0:
		return func(ctx context.Context) error { return c.run(ctx, s) }
	case c.Path != "":
		client := c.client(s)
		return func(ctx context.Context) error {
			if err := c.get(ctx, client); err != nil {
				return fmt.Errorf("GET %s %w", c.Path, err)
			}
			return nil
		}
	}
	return func(ctx context.Context) error {
		if err := dial(ctx, s, c.Port); err != nil {
			return fmt.Errorf("its port does not answer: %w", bareDialError(err))
		}
		return nil
	}
}

func (c Check) run(ctx context.Context, s Subject) error {
	ctx, cancel := context.WithTimeoutCause(ctx, c.Timeout, fmt.Errorf("no end after %s", c.Timeout))
	defer cancel()
	if err := s.Run(ctx, c.Command); err != nil {
		return fmt.Errorf("%s: %w", c.Command[0], err)
	}
	return nil
}

func (c Check) client(s Subject) *http.Client {
	return &http.Client{
		Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return s.Dial(ctx, c.Port)
			},
		},
		Timeout:       c.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// get sends one request. Its error completes "GET /path".
func (c Check) get(ctx context.Context, client *http.Client) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost"+c.Path, nil)
	if err != nil {
		return fmt.Errorf("is no request: %w", err)
	}
	request.Header.Set("User-Agent", "paas-healthcheck")
	for name, value := range c.Headers {
		if http.CanonicalHeaderKey(name) == "Host" {
			request.Host = value
		}
		request.Header.Set(name, value)
	}
	answer, err := client.Do(request)
	if err != nil {
		if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
			return fmt.Errorf("did not answer within %s", c.Timeout)
		}
		return fmt.Errorf("was not answered: %w", bareURLError(err))
	}
	defer answer.Body.Close()
	if answer.StatusCode >= 400 {
		return fmt.Errorf("answered %d", answer.StatusCode)
	}
	if c.Content != "" {
		body, err := io.ReadAll(io.LimitReader(answer.Body, 1<<20))
		if err != nil {
			return fmt.Errorf("was not answered to the end: %w", err)
		}
		if !bytes.Contains(body, []byte(c.Content)) {
			return fmt.Errorf("answered %d, without %q in it", answer.StatusCode, c.Content)
		}
	}
	return nil
}

// bareURLError returns err without the made-up URL of the request.
func bareURLError(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}
	return err
}

// bareDialError returns err without the address, which the owner does not know.
func bareDialError(err error) error {
	if wrapped, ok := errors.AsType[*net.OpError](err); ok {
		return wrapped.Err
	}
	return err
}

// Keep repeats a liveness or readiness check of s until ctx or s ends. It calls changed with the
// failure after as many failed attempts in a row as the check allows, and with nil when an attempt
// succeeds again. It blocks.
func (c Check) Keep(ctx context.Context, s Subject, changed func(error)) {
	c = c.withDefaults()
	if !c.asks(s) || sleep(ctx, s.Done(), max(c.Delay, time.Millisecond)) != nil {
		return
	}
	ask := c.asker(s)
	failed, fails := false, 0
	for {
		switch err := ask(ctx); {
		case ctx.Err() != nil:
			return
		case err == nil:
			if fails = 0; failed {
				failed = false
				changed(nil)
			}
		default:
			if fails++; fails >= c.Attempts && !failed {
				failed = true
				changed(fmt.Errorf("%s check: %w, %d times", c.Type, err, fails))
			}
		}
		if sleep(ctx, s.Done(), c.Wait) != nil {
			return
		}
	}
}
