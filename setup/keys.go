package setup

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/crypto/ssh"
)

// Key is a public key of a person, which may open the machine already.
type Key struct {
	Line        string // in the format of authorized_keys, without options
	Fingerprint string
	Comment     string
	File        string // where it was found
}

func (k Key) String() string { return strings.TrimSpace(k.Fingerprint + " " + k.Comment) }

// Keys returns the keys in .ssh/authorized_keys of each home, and the public keys beside it, each
// once. It leaves out keys that may only run one command, and what it cannot read.
func Keys(homes ...string) (all []Key) {
	for _, home := range homes {
		files := []string{filepath.Join(home, ".ssh", "authorized_keys")}
		own, _ := filepath.Glob(filepath.Join(home, ".ssh", "id_*.pub"))
		for _, file := range append(files, own...) {
			content, err := os.ReadFile(file)
			if err != nil {
				continue
			}
			for _, k := range parse(content, file) {
				if !slices.ContainsFunc(all, func(has Key) bool { return has.Fingerprint == k.Fingerprint }) {
					all = append(all, k)
				}
			}
		}
	}
	return all
}

func parse(content []byte, file string) (all []Key) {
	for line := range bytes.Lines(content) {
		public, comment, options, _, err := ssh.ParseAuthorizedKey(line)
		if err != nil || slices.ContainsFunc(options, restricts) {
			continue
		}
		text := strings.TrimSpace(string(ssh.MarshalAuthorizedKey(public)))
		all = append(all, Key{strings.TrimSpace(text + " " + comment), ssh.FingerprintSHA256(public), comment, file})
	}
	return all
}

// restricts reports whether an option makes the key one for a single purpose, or for a while.
func restricts(option string) bool {
	name, _, _ := strings.Cut(strings.ToLower(option), "=")
	return name == "command" || name == "cert-authority" || name == "from" || name == "expiry-time"
}

// Choose returns the keys that an answer means: the number of one of those found, counted from 1, a
// file with keys, or a key itself.
func Choose(answer string, found []Key) ([]Key, error) {
	if n, err := strconv.Atoi(answer); err == nil {
		if n < 1 || n > len(found) {
			return nil, fmt.Errorf("there are keys 1 to %d", len(found))
		}
		return found[n-1 : n], nil
	}
	if answer == "" {
		return nil, errors.New("without a key nobody can push; give a file such as id_ed25519.pub, or the key itself")
	}
	if keys := parse([]byte(answer), ""); len(keys) == 1 {
		return keys, nil
	}
	content, err := os.ReadFile(answer)
	if err != nil {
		return nil, fmt.Errorf("this is no public key, and no file: %w", err)
	}
	keys := parse(content, answer)
	if len(keys) == 0 {
		return nil, fmt.Errorf("there is no public key in %s", answer)
	}
	return keys, nil
}
