package volume

import (
	"encoding/json"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Certificate is the state of the certificate of a host name. It never has the key.
type Certificate struct {
	Issuer    string    `json:"issuer,omitempty"` // the authority; empty: there is none
	Own       bool      `json:"own,omitempty"`    // a person brought it
	NotBefore time.Time `json:"not_before,omitzero"`
	NotAfter  time.Time `json:"not_after,omitzero"`
	Trying    bool      `json:"trying,omitempty"` // an authority works on it now
	Tried     time.Time `json:"tried,omitzero"`   // the last attempt
	Error     string    `json:"error,omitempty"`  // of that attempt, in the authority's words
	Next      time.Time `json:"next,omitzero"`    // the next attempt, or the renewal
}

// Valid reports whether visitors can use HTTPS at that time.
func (c Certificate) Valid(now time.Time) bool {
	return !now.Before(c.NotBefore) && now.Before(c.NotAfter)
}

// expirySoon is how long before its end people hear of a certificate that nobody renews but them.
const expirySoon = 21 * 24 * time.Hour

// ExpiresSoon reports whether a person brought the certificate and must bring the next one: it is
// valid, for 21 days at most.
func (c Certificate) ExpiresSoon(now time.Time) bool {
	return c.Own && c.Valid(now) && c.NotAfter.Sub(now) <= expirySoon
}

// Certificate returns the state of the certificate that serves a host name: its own, or that of a
// wildcard. ok is false if nothing is known, such as while no server has HTTPS.
func (v *Volume) Certificate(name string) (c Certificate, ok bool) {
	_, domain, _ := strings.Cut(name, ".")
	var found Certificate
	for _, subject := range []string{name, "*." + domain} {
		content, err := os.ReadFile(v.certificate(subject))
		if err != nil || json.Unmarshal(content, &found) != nil {
			continue
		}
		if !ok || found.Valid(time.Now()) {
			c, ok = found, true
		}
		found = Certificate{}
		if c.Valid(time.Now()) {
			break
		}
	}
	return c, ok
}

// Certificates returns the names whose state is known, sorted.
func (v *Volume) Certificates() (names []string, err error) {
	entries, err := os.ReadDir(filepath.Dir(v.certificate("")))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	for _, entry := range entries {
		if name, ok := strings.CutSuffix(entry.Name(), ".json"); ok {
			names = append(names, name)
		}
	}
	return names, err
}

// SetCertificate records the state of a certificate; the zero state removes it. Only the role that
// serves certificates calls it.
func (v *Volume) SetCertificate(name string, c Certificate) error {
	path := v.certificate(name)
	if c == (Certificate{}) {
		err := os.Remove(path)
		if errors.Is(err, fs.ErrNotExist) {
			err = nil
		}
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return v.writeJSON(path, c, 0o600)
}

// ForgetCertificates removes what an earlier server recorded.
func (v *Volume) ForgetCertificates() error {
	return os.RemoveAll(filepath.Dir(v.certificate("")))
}

func (v *Volume) certificate(name string) string {
	return filepath.Join(v.Root, "run", "certificates", name+".json")
}
