package link

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"paas/durable"
)

// Key is the secret that the roles share. It is read again for each connection.
type Key struct {
	Dir string // a folder that only the roles may enter; Make makes it, with mode 0700
}

const minKey = 26 // characters of rand.Text: 130 bits

// Make makes the key if there is none. Several roles may do that at once.
func (k Key) Make() error {
	if _, err := k.read(); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.MkdirAll(k.Dir, 0o700); err != nil {
		return err
	}
	tmp := filepath.Join(k.Dir, "tmp-"+rand.Text())
	if err := durable.Create(tmp, []byte(rand.Text()+"\n"), 0o600); err != nil {
		return err
	}
	defer os.Remove(tmp)
	// A link, not a rename: what another role has read meanwhile must stay.
	if err := os.Link(tmp, k.path()); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	return durable.SyncDir(k.Dir)
}

// Exists reports whether there is a key.
func (k Key) Exists() bool {
	_, err := k.read()
	return !errors.Is(err, fs.ErrNotExist)
}

func (k Key) read() ([]byte, error) {
	key, err := os.ReadFile(k.path())
	if err == nil && len(key) < minKey {
		err = fmt.Errorf("%s: the key is too short; remove the file and start all roles again", k.path())
	}
	return key, err
}

func (k Key) path() string { return filepath.Join(k.Dir, "key") }
