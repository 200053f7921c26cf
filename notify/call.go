package notify

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

const (
	callTimeout  = 10 * time.Second
	maxRedirects = 5
)

// call POSTs the version to Call, which is in no error: many such URLs are as good as a password.
func (n Notifier) call(ctx context.Context, v Version) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	body, err := json.Marshal(v)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, n.Call, bytes.NewReader(body))
	if err != nil {
		return errors.New("the URL to call is not one")
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "paas")
	client := &http.Client{CheckRedirect: faithful}
	response, err := client.Do(request)
	var wrapped *url.Error
	if errors.As(err, &wrapped) {
		err = wrapped.Err
	}
	if err != nil {
		return err
	}
	defer response.Body.Close()
	io.Copy(io.Discard, io.LimitReader(response.Body, 64<<10)) // so that the connection can be kept
	if response.StatusCode/100 != 2 {
		return fmt.Errorf("it answers %s", response.Status)
	}
	return nil
}

// faithful refuses redirects that would send what was meant for https on in the clear, or as a GET
// without what is to be said (301, 302, 303).
func faithful(next *http.Request, before []*http.Request) error {
	switch {
	case len(before) > maxRedirects:
		return fmt.Errorf("more than %d redirects", maxRedirects)
	case next.URL.Scheme != before[0].URL.Scheme:
		return errors.New("redirected to another scheme")
	case next.Method != before[0].Method:
		return errors.New("redirected in a way that loses what is sent; 307 and 308 keep it")
	}
	return nil
}
