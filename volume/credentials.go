package volume

import (
	"bytes"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"paas/durable"
)

// Credentials open an app's source to us, and prove that a webhook comes from it. They are in
// sources/<app>/ (0700, files 0600), private to commands and sidecar. In containers sources/ is a
// volume of its own, so its files are written there: a rename from tmp/ would fail.
type Credentials struct{ dir string }

// Credential is the name of one of the [Credentials].
type Credential string

const (
	SourceToken      Credential = "token"       // password or access token for http(s)
	SourceKey        Credential = "key"         // private key for ssh
	SourceKnownHosts Credential = "known_hosts" // keys of trusted hosts, in the format of ssh
	SourceWebhook    Credential = "webhook"     // secret that signs the source's webhooks
)

// Credentials returns the credentials of the app of that name, which need not exist.
func (v *Volume) Credentials(app string) Credentials {
	return Credentials{filepath.Join(v.Root, "sources", app)}
}

// Get reads the credential; nil if it is not set.
func (c Credentials) Get(which Credential) ([]byte, error) {
	content, err := os.ReadFile(c.path(which))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return content, err
}

// Set replaces the credential. It takes effect with [App.SetSource] or [App.Ring].
func (c Credentials) Set(which Credential, content []byte) error {
	if old, err := c.Get(which); err == nil && old != nil && bytes.Equal(old, content) {
		return nil
	}
	return c.write(which, content, os.Rename)
}

// Remove removes the credential; removing it again is harmless.
func (c Credentials) Remove(which Credential) error {
	err := os.Remove(c.path(which))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return errors.Join(err, durable.SyncDir(c.dir))
}

// RemoveAll removes all credentials: when the source or the app goes.
func (c Credentials) RemoveAll() error { return os.RemoveAll(c.dir) }

// Webhook returns the secret that the source signs its webhooks with: 26 letters and digits. The
// first call makes it.
func (c Credentials) Webhook() (string, error) {
	for {
		secret, err := c.Get(SourceWebhook)
		if err != nil || len(secret) > 0 {
			return strings.TrimSpace(string(secret)), err
		}
		if secret != nil { // a person has left an empty file
			if err := c.Remove(SourceWebhook); err != nil {
				return "", err
			}
		}
		// two first callers get the same secret
		err = c.write(SourceWebhook, []byte(rand.Text()), os.Link)
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return "", err
		}
	}
}

func (c Credentials) path(which Credential) string { return filepath.Join(c.dir, string(which)) }

// write writes a file whole; publish, [os.Rename] or [os.Link], gives it its name.
func (c Credentials) write(
	which Credential, content []byte, publish func(from, to string) error,
) error {
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return err
	}
	tmp := filepath.Join(c.dir, ".new-"+rand.Text())
	if err := durable.Create(tmp, content, 0o600); err != nil {
		return err
	}
	err := publish(tmp, c.path(which))
	// the rename has moved it
	if removeErr := os.Remove(tmp); !errors.Is(removeErr, fs.ErrNotExist) {
		err = errors.Join(err, removeErr)
	}
	return errors.Join(err, durable.SyncDir(c.dir))
}
