package access

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"

	gossh "golang.org/x/crypto/ssh"
)

const hostKeyFile = "host_ed25519"

// HostKey returns the server's own key, dir/host_ed25519, and creates it if there is none. A key
// that exists but cannot be read is an error and is not replaced: a new key would make every client
// warn of an attack, and the owner may have the old one in a backup.
func HostKey(dir string, log *slog.Logger) (gossh.Signer, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		log.Warn("cannot make the directory private", "dir", dir, "err", err)
	}
	path := filepath.Join(dir, hostKeyFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		text, err = newHostKey(dir)
	}
	if err != nil {
		return nil, fmt.Errorf("host key: %w", err)
	}
	signer, err := gossh.ParsePrivateKey(text)
	if err != nil {
		// The parser's error can quote the key.
		return nil, fmt.Errorf("host key: %s is not a readable OpenSSH private key; "+
			"restore it from a backup, or remove it to have a new one made "+
			"(clients will then ask for the new key)", path)
	}
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
		log.Warn("host key was open to other users; closing it", "file", path, "mode",
			info.Mode().Perm().String())
		if err := os.Chmod(path, 0o600); err != nil {
			return nil, fmt.Errorf("host key: %w", err)
		}
	}
	return signer, nil
}

// newHostKey creates the host key. If two servers start at once in one directory, both return the
// key of the first.
func newHostKey(dir string) ([]byte, error) {
	unlock, err := lock(dir)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if text, err := os.ReadFile(filepath.Join(dir, hostKeyFile)); !errors.Is(err, fs.ErrNotExist) {
		return text, err
	}
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		return nil, err
	}
	block, err := gossh.MarshalPrivateKey(private, "paas host key")
	if err != nil {
		return nil, err
	}
	text := pem.EncodeToMemory(block)
	return text, replace(dir, hostKeyFile, text)
}
