package runtime

import (
	"errors"
	"testing"
)

// What languages say about a port that is taken.
func TestPortTaken(t *testing.T) {
	const use = ": use PORT, the port in the environment"
	for line, want := range map[string]string{
		"Error: listen EADDRINUSE: address already in use :::3000":              "port 3000 is taken" + use,
		"2026/01/01 18:44:06 listen tcp :3000: bind: address already in use":    "port 3000 is taken" + use,
		"Address already in use - bind(2) for \"0.0.0.0\" port 3000 (Errno::E)": "port 3000 is taken" + use,
		"Web server failed to start. Port 8080 was already in use.":             "port 8080 is taken" + use,
		"OSError: [Errno 98] Address already in use":                            "the port that it asks for is taken" + use,
		"listening on :3000": "",
	} {
		if got := hintIn(portTaken(errors.New("x"), []string{"first", line})); got != want {
			t.Errorf("%s: %q, want %q", line, got, want)
		}
	}
}
