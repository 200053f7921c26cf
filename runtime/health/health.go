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
	"strings"
	"time"
)

// Subject is the process that is asked.
type Subject interface {
	Addr() string // where it is to listen; empty: nowhere
	Done() <-chan struct{}
	Err() error // after Done
}

// Await blocks until p may have traffic, has ended, or has used up its time; the error says which,
// as the owner should read it. A process without an address has nothing to prove.
func (c Check) Await(ctx context.Context, p Subject) error {
	if p.Addr() == "" {
		return nil
	}
	err := AwaitHealthy(ctx, p.Addr(), c, p.Done())
	switch {
	case errors.Is(err, errEnded) && p.Err() == nil:
		return errors.New("web: ended, with status 0, before it listened on $PORT")
	case errors.Is(err, errEnded):
		return fmt.Errorf("web: %w", p.Err())
	case errors.Is(err, errSilent):
		return fmt.Errorf("web %w%s", err, elsewhere(p))
	}
	return err
}

var (
	errEnded  = errors.New("ended before it listened")
	errSilent = errors.New("did not listen on $PORT")
)

// AwaitHealthy blocks until what listens at addr passes the check; an error when it has not within
// the check's time, exited is closed first, or ctx ends. It looks every few milliseconds.
func AwaitHealthy(ctx context.Context, addr string, c Check, exited <-chan struct{}) error {
	c = c.withDefaults()
	err := retry(ctx, exited, c.Boot, 1, func() error {
		dialer := net.Dialer{Timeout: time.Second}
		conn, err := dialer.DialContext(ctx, "tcp", addr)
		if err == nil {
			conn.Close()
		}
		return err
	})
	var late *lateError
	if errors.As(err, &late) {
		_, port, _ := net.SplitHostPort(addr)
		return fmt.Errorf("%w (%s) within %s", errSilent, port, c.Boot)
	}
	if err != nil || c.Path == "" {
		return err
	}
	client := &http.Client{
		Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return (&net.Dialer{}).DialContext(ctx, "tcp", addr)
			},
		},
		Timeout:       c.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	began := time.Now()
	err = retry(ctx, exited, time.Duration(c.Attempts)*c.Wait, c.Attempts, func() error { return c.ask(ctx, client) })
	if errors.As(err, &late) {
		return fmt.Errorf("GET %s %w, for %s", c.Path, late.last, time.Since(began).Round(100*time.Millisecond))
	}
	return err
}

// ask makes one request. Its error completes "GET /path".
func (c Check) ask(ctx context.Context, client *http.Client) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://localhost"+c.Path, nil)
	if err != nil {
		return fmt.Errorf("is no request: %w", err)
	}
	request.Header.Set("User-Agent", "paas-healthcheck")
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

// lateError is what the last attempt of [retry] said.
type lateError struct{ last error }

func (e *lateError) Error() string { return e.last.Error() }

// retry calls try until it succeeds: again after 1 ms, then ever less often, so that
// no more than a sixteenth of the time is lost, nor more than 50 ms. It gives up with a *lateError when patience is over and it has tried at least so many times.
func retry(ctx context.Context, exited <-chan struct{}, patience time.Duration, times int, try func() error) error {
	began := time.Now()
	for {
		err := try()
		if err == nil {
			return nil
		}
		times--
		if times <= 0 && time.Since(began) >= patience {
			return &lateError{err}
		}
		timer := time.NewTimer(min(max(time.Since(began)/16, time.Millisecond), 50*time.Millisecond))
		select {
		case <-timer.C:
		case <-exited:
			timer.Stop()
			return errEnded
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		}
	}
}

// elsewhere says what p does listen on, where that can be found out.
func elsewhere(p Subject) string {
	known, ok := p.(interface{ Listening() []string })
	if !ok {
		return ""
	}
	where := known.Listening()
	if len(where) == 0 {
		return ""
	}
	if _, port, _ := net.SplitHostPort(p.Addr()); len(where) == 1 && strings.HasSuffix(where[0], ":"+port) {
		return fmt.Sprintf("; it listens on %s alone: listen on 127.0.0.1 or 0.0.0.0", where[0])
	}
	return fmt.Sprintf("; it listens on %s: use the PORT environment variable", strings.Join(where, ", "))
}

// bareURLError is err without the made-up URL of the request.
func bareURLError(err error) error {
	if wrapped, ok := errors.AsType[*url.Error](err); ok {
		return wrapped.Err
	}
	return err
}
