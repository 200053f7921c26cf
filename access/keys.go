package access

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"time"

	gossh "golang.org/x/crypto/ssh"

	"paas/durable"
	"paas/nearest"
)

// Keys is the set of keys that may enter, one file a key: DIR/keys/<name>. The files are the
// truth and are read at each question, so a key that is added or removed, also by another
// process or by hand, counts at once.
//
// Its methods may be called from any goroutine. Two processes that add one name cannot both win.
// What looks at all keys first is only as good as that look: two processes that both add the very
// first key make two admins, and two that each remove one of the last two admins leave none (add
// one then with Add on the server). Both take two people at the server's own command line in the
// same millisecond.
type Keys struct {
	Dir string       // private directory; the keys are in Dir/keys. Made 0700 by the first Add
	Log *slog.Logger // says which files are no keys, once each; default slog.Default()

	mu     sync.Mutex           // one Add or Remove at a time
	warnMu sync.Mutex           // guards warned
	warned map[string]time.Time // file -> modification time when it was last complained about
}

const (
	keysFolder  = "keys"
	keyNameRule = "use a-z, 0-9 and . _ @ -, starting with a letter or a digit, at most 63 characters"
)

var keyName = regexp.MustCompile(`^[a-z0-9][a-z0-9._@-]{0,62}$`)

// Add lets a key enter under a name. publicKey is one authorized_keys line; options in front of
// it are refused, since a restriction that looks as if it held would be worse than none. The
// first key of all is an admin whatever admin says. Errors: a bad or taken name, the same key
// under another name, text that is not one public key, a key too weak.
func (k *Keys) Add(name string, publicKey []byte, admin bool) (Key, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !keyName.MatchString(name) {
		return Key{}, fmt.Errorf("%.80q is not a key name: %s", name, keyNameRule)
	}
	key, options, err := parseKey(publicKey)
	if err != nil {
		return Key{}, err
	}
	if len(options) > 0 {
		return Key{}, fmt.Errorf("options in front of a key are not supported (%.80q); give the key without them", options)
	}
	files, err := k.files()
	if err != nil {
		return Key{}, err
	}
	if slices.Contains(files, name) {
		return Key{}, fmt.Errorf("there is a key named %q already; remove it first, or choose another name", name)
	}
	if other, ok := k.Lookup(key.public); ok {
		return Key{}, fmt.Errorf("this key is here already, as %q", other.Name)
	}
	// A file that cannot be read still is a key of somebody's: the next key is not the first one.
	key.Name, key.Admin = name, admin || len(files) == 0
	line := key.Line + "\n"
	if key.Admin {
		line = adminOption + " " + line
	}
	err = writeNew(k.Dir, filepath.Join(keysFolder, name), []byte(line))
	if errors.Is(err, fs.ErrExist) {
		return Key{}, fmt.Errorf("there is a key named %q already; remove it first, or choose another name", name)
	}
	if err != nil {
		return Key{}, fmt.Errorf("add key %s: %w", name, err)
	}
	key.Added = time.Now()
	return key, nil
}

// Remove takes a key away; sessions that it has open go on, new ones are refused. The last
// admin's key stays: nobody could add another one from outside.
func (k *Keys) Remove(name string) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	files, err := k.files()
	if err != nil {
		return err
	}
	if !slices.Contains(files, name) {
		if near := nearest.Word(name, files); near != "" {
			return fmt.Errorf("no key named %.80q; did you mean %s?", name, near)
		}
		return fmt.Errorf("no key named %.80q", name)
	}
	keys, err := k.List()
	if err != nil {
		return err
	}
	admins := slices.DeleteFunc(keys, func(key Key) bool { return !key.Admin })
	if len(admins) == 1 && admins[0].Name == name {
		return fmt.Errorf("%s is the last admin key; add another admin first", name)
	}
	root, err := os.OpenRoot(filepath.Join(k.Dir, keysFolder))
	if err != nil {
		return err
	}
	defer root.Close()
	if err := root.Remove(name); err != nil {
		return fmt.Errorf("remove key %s: %w", name, err)
	}
	return durable.SyncDir(root.Name())
}

// List is every key, by name; empty where there is none. A file that is not a key is left out and
// named in the log.
func (k *Keys) List() ([]Key, error) {
	files, err := k.files()
	if err != nil || len(files) == 0 {
		return nil, err
	}
	root, err := os.OpenRoot(filepath.Join(k.Dir, keysFolder))
	if err != nil {
		return nil, err
	}
	defer root.Close()
	var keys []Key
	for _, name := range files {
		key, err := readKey(root, name)
		switch {
		case errors.Is(err, fs.ErrNotExist): // removed since the folder was read
		case err != nil:
			k.warn(root, name, err)
		default:
			keys = append(keys, key)
		}
	}
	return keys, nil
}

// Lookup finds the entry of a public key. A certificate is not the key inside it. Where one key
// has two files, put there by hand, the first name counts.
func (k *Keys) Lookup(public gossh.PublicKey) (Key, bool) {
	keys, err := k.List()
	if err != nil {
		k.log().Error("cannot read the keys", "dir", k.Dir, "err", err)
		return Key{}, false
	}
	wire := public.Marshal()
	i := slices.IndexFunc(keys, func(key Key) bool { return bytes.Equal(key.public.Marshal(), wire) })
	if i < 0 {
		return Key{}, false
	}
	return keys[i], true
}

// files are the names in the folder that can be keys, sorted.
func (k *Keys) files() ([]string, error) {
	entries, err := os.ReadDir(filepath.Join(k.Dir, keysFolder))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		// Opening a pipe would wait for ever, and a link could point anywhere.
		if e.Type().IsRegular() && keyName.MatchString(e.Name()) {
			names = append(names, e.Name())
		}
	}
	return names, nil
}

// readKey reads one file. An option other than "admin" makes the file unreadable: somebody meant
// a restriction that nothing here would hold them to.
func readKey(root *os.Root, name string) (Key, error) {
	f, err := root.Open(name)
	if err != nil {
		return Key{}, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Key{}, err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxKeyText+1))
	if err != nil {
		return Key{}, err
	}
	key, options, err := parseKey(text)
	if err != nil {
		return Key{}, err
	}
	if len(options) > 1 || len(options) == 1 && options[0] != adminOption {
		return Key{}, fmt.Errorf("options other than %q are not supported", adminOption)
	}
	key.Name, key.Admin, key.Added = name, len(options) == 1, info.ModTime()
	return key, nil
}

func (k *Keys) log() *slog.Logger {
	if k.Log == nil {
		return slog.Default()
	}
	return k.Log
}

// warn names a file that is not a key, once for each time that it changes: the folder is read at
// every attempt to enter.
func (k *Keys) warn(root *os.Root, name string, reason error) {
	info, err := root.Stat(name)
	if err != nil {
		return
	}
	k.warnMu.Lock()
	defer k.warnMu.Unlock()
	if k.warned == nil {
		k.warned = map[string]time.Time{}
	}
	if at, ok := k.warned[name]; ok && at.Equal(info.ModTime()) {
		return
	}
	k.warned[name] = info.ModTime()
	k.log().Warn("not a key; skipped", "file", filepath.Join(root.Name(), name), "err", reason)
}
