package sidecar

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Health is the answer of GET /healthz: with status 200 if OK, otherwise 503. A source that answers
// polls with an error does not make the sidecar unhealthy.
type Health struct {
	OK      bool `json:"ok"`
	Running bool `json:"running"` // Run goes round its loop
	Sources int  `json:"sources"` // sources that are followed
	// Behind are the apps whose source was not polled for three intervals, sorted.
	Behind []string `json:"behind,omitempty"`
}

// Health returns how the sidecar is now.
func (s *Sidecar) Health() Health {
	now := time.Now()
	s.mu.Lock()
	defer s.mu.Unlock()
	h := Health{Running: now.Sub(s.beat) < 3*sweep}
	for name, f := range s.followers {
		if f.stopped {
			continue
		}
		h.Sources++
		if f.duty.late(now) {
			h.Behind = append(h.Behind, name)
		}
	}
	slices.Sort(h.Behind)
	h.OK = h.Running && len(h.Behind) == 0
	return h
}

func (s *Sidecar) serveHealth(w http.ResponseWriter, _ *http.Request) {
	h := s.Health()
	w.Header().Set("Content-Type", "application/json")
	if !h.OK {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	json.NewEncoder(w).Encode(h)
}

// Probe asks the sidecar that serves at addr, host:port, for its health. The error is nil if it is
// OK. It blocks until ctx ends.
func Probe(ctx context.Context, addr string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/healthz", nil)
	if err != nil {
		return err
	}
	// Not the default transport, which would use a proxy from the environment.
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		return fmt.Errorf("the sidecar does not answer: %w", err)
	}
	defer response.Body.Close()
	var h Health
	if err := json.NewDecoder(io.LimitReader(response.Body, 1<<20)).Decode(&h); err != nil {
		return fmt.Errorf("what answers at %s is no sidecar: %s", addr, response.Status)
	}
	switch {
	case h.OK:
		return nil
	case !h.Running:
		return fmt.Errorf("the sidecar's main loop hangs")
	}
	return fmt.Errorf("not polled for three intervals: %s", strings.Join(h.Behind, ", "))
}
