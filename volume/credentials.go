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

// Credentials are how an app's source is got into, and how it proves that it is the one who calls:
// sources/<app>/ (0700, files 0600), private to commands and sidecar. In containers sources/ is a
// volume of its own, so its files are made in place and not in tmp/, which rename could not leave.
type Credentials struct{ dir string }

// Credential is the name of one of them.
type Credential string

const (
	SourceToken      Credential = "token"       // password or access token for http(s)
	SourceKey        Credential = "key"         // private key for ssh
	SourceKnownHosts Credential = "known_hosts" // keys of the hosts that are believed, as ssh has them
	SourceWebhook    Credential = "webhook"     // secret that the source's webhooks are signed with
)

// Credentials are those of the app called app, which need not exist.
func (v *Volume) Credentials(app string) Credentials {
	return Credentials{filepath.Join(v.Root, "sources", app)}
}

// Get reads the credential; nil where it is not set.
func (c Credentials) Get(which Credential) ([]byte, error) {
	content, err := os.ReadFile(c.path(which))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return content, err
}

// Set replaces the credential, whole. [App.SetSource] or [App.Ring] has it heeded.
func (c Credentials) Set(which Credential, content []byte) error {
	if old, err := c.Get(which); err == nil && old != nil && bytes.Equal(old, content) {
		return nil
	}
	return c.write(which, content, os.Rename)
}

// Remove unsets the credential; it is no error that it was not set.
func (c Credentials) Remove(which Credential) error {
	err := os.Remove(c.path(which))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return errors.Join(err, durable.SyncDir(c.dir))
}

// RemoveAll unsets all credentials: with the source, and with the app.
func (c Credentials) RemoveAll() error { return os.RemoveAll(c.dir) }

// Webhook is the secret that the source signs its calls with, made at the first asking: 26 letters
// and digits.
func (c Credentials) Webhook() (string, error) {
	for {
		secret, err := c.Get(SourceWebhook)
		if err != nil || len(secret) > 0 {
			return strings.TrimSpace(string(secret)), err
		}
		if secret != nil { // an empty file, by hand
			if err := c.Remove(SourceWebhook); err != nil {
				return "", err
			}
		}
		err = c.write(SourceWebhook, []byte(rand.Text()), os.Link) // of two who ask first, both get the same
		if err != nil && !errors.Is(err, fs.ErrExist) {
			return "", err
		}
	}
}

func (c Credentials) path(which Credential) string { return filepath.Join(c.dir, string(which)) }

// write gives content its name by publish, [os.Rename] or [os.Link].
func (c Credentials) write(which Credential, content []byte, publish func(from, to string) error) error {
	if err := os.MkdirAll(c.dir, 0o700); err != nil {
		return err
	}
	tmp := filepath.Join(c.dir, ".new-"+rand.Text())
	if err := durable.Create(tmp, content, 0o600); err != nil {
		return err
	}
	err := publish(tmp, c.path(which))
	if removeErr := os.Remove(tmp); !errors.Is(removeErr, fs.ErrNotExist) { // gone by the rename
		err = errors.Join(err, removeErr)
	}
	return errors.Join(err, durable.SyncDir(c.dir))
}
